"""The same fingerprint means the same picture; whatever changes a picture changes it."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from nstbatch.cli.jobs.invocation import Invocation
from nstbatch.cli.main import app
from nstbatch.cli.output.fingerprint import (
    CLOCK_TICK,
    Origin,
    hash_file,
    hash_source,
    origin_of,
)
from nstbatch.cli.output.fingerprint import stamp as stamp_of
from nstbatch.cli.parsing.invocation import invocation

ORIGIN = Origin(
    verb="stylize",
    settings={"style": "monet.jpg", "size": 512, "layers": ["a", "b"]},
    files={"style": "5" * 64},
    bundle={"gradient_avg.onnx": "6" * 64},
)
PHOTO = "7" * 64


def settings(**changes) -> dict:
    return {**ORIGIN.settings, **changes}


def test_it_is_64_digits_and_stays_the_same_across_versions():
    # A change here would have everybody's pictures painted again: raise FORMAT if it is meant.
    assert ORIGIN.fingerprint(PHOTO) == (
        "7f71cdc9e849687906670ecde02682960294e6c33ba84912ccdf9864a06c4e08"
    )


@pytest.mark.parametrize(
    "other",
    [
        replace(ORIGIN, verb="texture"),
        replace(ORIGIN, settings=settings(size=256)),
        replace(ORIGIN, settings=settings(layers=["b", "a"])),
        replace(ORIGIN, settings=settings(seed=1)),
        replace(ORIGIN, files={"style": "6" * 64}),
        replace(ORIGIN, files={"style": "5" * 64, "init": "5" * 64}),
        replace(ORIGIN, bundle={"gradient_avg.onnx": "7" * 64}),
    ],
)
def test_what_changes_a_picture_changes_it(other):
    assert other.fingerprint(PHOTO) != ORIGIN.fingerprint(PHOTO)


def test_so_do_the_photo_and_the_variation():
    prints = {ORIGIN.fingerprint(PHOTO), ORIGIN.fingerprint("8" * 64), ORIGIN.fingerprint(PHOTO, 1)}
    assert len(prints) == 3


@pytest.mark.parametrize(
    "other",
    [
        replace(ORIGIN, settings=dict(reversed(ORIGIN.settings.items()))),
        replace(ORIGIN, settings=settings(style="copy of monet.jpg")),
    ],
)
def test_what_does_not_change_a_picture_does_not(other):
    assert other.fingerprint(PHOTO) == ORIGIN.fingerprint(PHOTO)


def origin(*arguments: str) -> Origin:
    """The origin of the pictures that a command line makes."""
    stylize: Any = get_command(app).commands["stylize"]
    return origin_of(invocation(stylize.make_context("stylize", list(arguments))), {}, {})


def test_where_and_how_a_picture_is_computed_does_not_count():
    plain = origin("photos", "-s", "s.png")
    options = "-o elsewhere -r --device cuda --threads 2 --json --format png --name {stem}_x"
    assert origin("other", "-s", "s.png", *options.split()).fingerprint(PHOTO) == plain.fingerprint(
        PHOTO
    )
    for changed in ("--size 64", "--quality 80", "--strip", "--init noise"):
        other = origin("photos", "-s", "s.png", *changed.split())
        assert other.fingerprint(PHOTO) != plain.fingerprint(PHOTO), changed


def test_a_later_option_counts_once_it_is_used():
    """Pictures that were made before there was --max-size stay up to date."""
    plain = origin("photos", "-s", "s.png")
    assert plain.settings["size"] == 512
    assert "max_size" not in plain.settings
    bounded = origin("photos", "-s", "s.png", "--max-size", "800")
    assert (bounded.settings["size"], bounded.settings["max_size"]) == ("own", 800)
    given = origin("photos", "-s", "s.png", "--max-size", "800", "--size", "64")
    assert (given.settings["size"], given.settings["max_size"]) == (64, 800)


def test_the_pictures_that_options_name_count_by_their_bytes(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_text("the same")
    called = Invocation("stylize", {"style": "a.jpg"})
    origins = [
        origin_of(called, {"style": tmp_path / name, "init": None}, {})
        for name in ("a.jpg", "b.jpg")
    ]
    assert origins[0] == origins[1]
    assert origins[0].files.keys() == {"style"}


# ---- files ------------------------------------------------------------------------------------


def age(path: Path) -> None:
    """Make a file old enough for its stamp to be trusted; the change of metadata stays young."""
    past = path.stat().st_mtime_ns - 10 * CLOCK_TICK
    os.utime(path, ns=(past, past))


def test_a_stamp_changes_with_the_file(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_text("one")
    before = stamp_of(path)
    path.write_text("three")
    assert stamp_of(path) != before


def test_a_stamp_changes_though_size_and_time_were_put_back(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_text("one")
    age(path)
    status, before = path.stat(), stamp_of(path)
    path.write_text("two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert stamp_of(path)[:2] == before[:2]
    assert stamp_of(path) != before


def test_a_file_that_was_just_written_has_no_stamp_to_trust(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    path.write_text("one")
    assert hash_file(path).stamp is None
    now = path.stat().st_ctime_ns
    monkeypatch.setattr("time.time_ns", lambda: now + 2 * CLOCK_TICK)
    assert hash_file(path).stamp == stamp_of(path)


def test_nothing_is_hashed_that_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # would wait for a writer
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "gone"):
        assert hash_file(path) is None
        assert stamp_of(path) is None


def test_several_pictures_count_by_their_bytes_order_and_weights(tmp_path):
    one, two = tmp_path / "one.jpg", tmp_path / "two.jpg"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    single = hash_source(one)
    assert hash_source([(one, 7.0)]) == single == hash_file(one).sha256
    several = {
        hash_source(each)
        for each in (
            [(one, 1.0), (two, 1.0)],
            [(one, 1.0), (two, 2.0)],
            [(two, 1.0), (one, 1.0)],
        )
    }
    assert len(several) == 3
    assert hash_source([]) is hash_source(None) is None
    assert hash_source([(one, 1.0), (tmp_path / "missing", 1.0)]) is None
