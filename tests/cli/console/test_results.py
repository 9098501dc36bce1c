"""Names on standard output: their bytes can be had back."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nstbatch.cli.console.results import Results, print_result
from nstbatch.cli.jobs.painting import Outcome, Status

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode")

LATIN = os.fsdecode(b"caf\xe9.jpg")


def done(name: str) -> Outcome:
    return Outcome(Path("in", name), Path("out", name), Status.DONE)


def test_json_has_the_bytes_of_a_name_that_is_not_utf_8(capsys):
    print_result(done(LATIN), Results.JSON)
    line = capsys.readouterr().out
    assert "\\ud" not in line  # half a surrogate pair, which strict readers refuse
    record = json.loads(line)
    assert record["output"] == "out/caf\ufffd.jpg"
    assert base64.b64decode(record["output_base64"]) == b"out/caf\xe9.jpg"
    assert base64.b64decode(record["input_base64"]) == b"in/caf\xe9.jpg"
    print_result(done("\u0444\U0001f600.jpg"), Results.JSON)
    record = json.loads(capsys.readouterr().out)
    assert record["output"] == "out/\u0444\U0001f600.jpg"
    assert not {"input_base64", "output_base64"} & record.keys()


def test_nul_has_the_bytes_of_any_name(capsysbinary):
    for name in (LATIN, "a\nb.jpg", "\u0444.jpg"):
        print_result(done(name), Results.NULL)
    out = capsysbinary.readouterr().out
    assert out == b"out/caf\xe9.jpg\0out/a\nb.jpg\0out/\xd1\x84.jpg\0"


def test_lines_have_them_in_a_pipe_and_are_text_on_a_terminal(monkeypatch, capsysbinary):
    print_result(done(LATIN), Results.LINES)
    print_result(done("a\nb.jpg"), Results.LINES)
    assert capsysbinary.readouterr().out == b"out/caf\xe9.jpg\nout/a\\nb.jpg\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_result(done(LATIN), Results.LINES)
    assert capsysbinary.readouterr().out == b"out/caf\\udce9.jpg\n"


def test_names_go_round_through_pipes(tmp_path):
    """``find -print0 | nstbatch --from-file - -0 | xargs -0``, with names of every kind."""
    from PIL import Image

    names = [LATIN, "a\nb.jpg", "-x.jpg", " \u0444 .jpg"]
    (tmp_path / "photos").mkdir()
    for name in names:
        Image.linear_gradient("L").convert("RGB").resize((48, 40)).save(tmp_path / "photos" / name)
    Image.radial_gradient("L").convert("RGB").resize((48, 48)).save(tmp_path / "style.png")
    command = [sys.executable, "-m", "nstbatch", "stylize", "--from-file", "-", "-0"]
    command += ["-s", "style.png", "--model", "squeezenet1_1", "--size", "32", "--iterations", "1"]
    command += ["--scales", "1", "--device", "cpu"]
    given = b"".join(b"photos/" + os.fsencode(name) + b"\0" for name in names)
    for options, expected in (((), names), ((), []), (("--dry-run", "--json"), names)):
        made = subprocess.run(
            [*command, *options], cwd=tmp_path, input=given, capture_output=True, timeout=60
        )
        assert made.returncode == 0, made.stderr
        if not options:
            outputs = {b"stylized/" + os.fsencode(name) for name in expected}
            assert set(filter(None, made.stdout.split(b"\0"))) == outputs
        else:
            assert len(made.stdout.splitlines()) == len(expected)
    without = [word for word in command if word != "-0"]
    made = subprocess.run(without, cwd=tmp_path, input=given, capture_output=True, timeout=60)
    assert made.returncode == 2
    assert b"has NULs between its names: give --null" in made.stderr
