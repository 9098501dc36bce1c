"""Lines of the ledger with any fields: complete, damaged, or from another version."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nstbatch.cli.output.ledger_lines import PictureLine, RunLine, read_lines, word_sha256

PICTURE = {"kind": "image", "input": "a.png", "status": "done", "run": "r"}


def read(*lines: dict) -> list:
    return list(read_lines("\n".join(map(json.dumps, lines)).encode(), details=True))


def test_lines_with_few_fields_are_read():
    run, picture = read({"kind": "run", "run": "r"}, {"kind": "image", "input": "a"} | PICTURE)
    assert isinstance(run, RunLine)
    assert (run.id, run.verb, run.command, run.settings) == ("r", "", (), {})
    assert isinstance(picture, PictureLine)
    assert (picture.line, picture.done, picture.output, picture.reason) == (2, True, "", "")
    assert (picture.fingerprint, picture.input_stamp, picture.curve) == (None, None, ())


def test_numbers_of_lines_count_those_that_are_skipped():
    lines = b"\n{\n" + json.dumps(PICTURE).encode() + b'\n{"kind": "newer"}\n'
    assert [line.line for line in read_lines(lines, first=10)] == [12]


def test_the_mark_that_some_editors_write_first_is_no_fault():
    assert list(read_lines(b"\xef\xbb\xbf" + json.dumps(PICTURE).encode()))


def test_losses_and_their_curve_are_read_on_demand():
    line = PICTURE | {"losses": {"total": 2, "style": None}, "curve": [[0, 3], [1], "x"]}
    (whole,) = read(line)
    assert (whole.losses, whole.curve) == ({"total": 2.0}, ((0.0, 3.0),))
    brief = PictureLine.parse(line)
    assert (brief.losses, brief.curve) == ({}, ())


@pytest.mark.parametrize("output", ["../a.png", "/etc/hostname", "b/../../a.png", "", ".", None, 3])
def test_a_path_that_leads_out_of_the_folder_is_no_output(output):
    (line,) = read(PICTURE | {"output_in_folder": output})
    assert line.output == ""
    assert line.key == "no picture of a.png"


@pytest.mark.parametrize("word", ["tiger", "noise", "gr\udcfcn"])
def test_a_word_is_known_by_its_own_hash(word):
    (word_line,) = read(PICTURE | {"input": word, "input_sha256": word_sha256(word)})
    (photo_line,) = read(
        PICTURE | {"input": word, "input_sha256": hashlib.sha256(b"a photo").hexdigest()}
    )
    assert word_line.is_from_nothing
    assert not photo_line.is_from_nothing


def test_half_a_surrogate_pair_is_a_name_too():
    (line,) = read(PICTURE | {"input": "\ud800", "input_sha256": "0" * 64})
    assert not line.is_from_nothing


@given(st.integers(), st.floats(), st.booleans())
def test_a_number_fits_a_float_or_is_0(integer, number, flag):
    (line,) = read(PICTURE | {"seconds": number, "steps": integer, "width": flag, "height": 1e308})
    assert json.dumps([line.seconds, line.steps, line.megapixels], allow_nan=False)
    assert line.width == 0


def test_a_number_beyond_floats_is_0():
    (line,) = read(PICTURE | {"seconds": 10**400})
    assert line.seconds == 0.0
