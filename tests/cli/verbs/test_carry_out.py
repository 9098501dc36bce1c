import json
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer

from nstbatch.cli.jobs.effort import Effort
from nstbatch.cli.jobs.invocation import SAVED, Call, Invocation
from nstbatch.cli.jobs.painting import Painting
from nstbatch.cli.jobs.plan import Plan
from nstbatch.cli.output.ledger import NAME
from nstbatch.cli.verbs.carry_out import Work, carry_out
from nstbatch.cli.verbs.input_options import InputOptions
from nstbatch.cli.verbs.prepare import BatchOptions, find_photos, read_picture
from nstbatch.runtime.devices import providers
from nstbatch.runtime.devices.devices import Finding
from nstbatch.runtime.errors import ImageError, UsageError
from nstbatch.runtime.pictures import images

GREY = np.full((4, 6, 3), 0.5, np.float32)


# More memory than any computer has.
HUGE = Effort(200, lambda photo: (6000, 8000), lambda shape, pictures: 10**15)


def paint(job, progress, stop) -> Painting:
    images.read(job.input)
    return Painting(GREY, None, {"total": 2.5}, 7, "cpu", "fp32")


def never(job, progress, stop) -> Painting:
    raise AssertionError("a dry run paints nothing")


@pytest.fixture(autouse=True)
def photos(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = Path("photos")
    folder.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        images.write(folder / name, GREY)
    return folder


def options(**changes) -> BatchOptions:
    defaults = {
        "out": Path("stylized"),
        "recursive": False,
        "overwrite": False,
        "dry_run": False,
        "fail_fast": False,
        "as_json": False,
        "quiet": False,
    }
    return BatchOptions(**defaults | changes)


def pictures() -> list[str]:
    """What is in the output folder beside the ledger and the settings."""
    own = {NAME, SAVED}
    return sorted(path.name for path in Path("stylized").iterdir() if path.name not in own)


def test_a_batch_from_folder_to_folder(photos, capsys):
    plan = find_photos([photos], options(), keep=[])
    assert carry_out(Work(plan, paint), options()) == 0
    out, err = capsys.readouterr()
    assert [Path(line).as_posix() for line in out.splitlines()] == [
        "stylized/a.png",
        "stylized/b.png",
        "stylized/c.png",
    ]
    assert "3 pictures done in" in err.splitlines()[-1]
    assert carry_out(Work(plan, never), options()) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "0 pictures done, 3 already there" in err


def test_a_failure_is_exit_code_1(photos, capsys):
    (photos / "b.png").write_bytes(b"")
    assert carry_out(Work(find_photos([photos], options(), keep=[]), paint), options()) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert sum("failed" in line and "b.png" in line for line in err.splitlines()) == 1
    assert pictures() == ["a.png", "c.png"]


def test_quiet_is_quiet(photos, capsys):
    quiet = options(quiet=True)
    work = Work(find_photos([photos], quiet, keep=[]), paint, effort=HUGE)
    for batch in (replace(quiet, dry_run=True), quiet, quiet):
        assert carry_out(work, batch) == 0
        assert capsys.readouterr() == ("", "")
    assert pictures() == ["a.png", "b.png", "c.png"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_lines_of_json_that_are_lost_are_a_failure_of_the_batch(photos, capfd, monkeypatch):
    """A pipeline may have taken them for the whole answer; paths are beside the pictures."""
    for as_json, code in ((True, 1), (False, 0)):
        batch = options(as_json=as_json, overwrite=True)
        with Path("/dev/full").open("w") as full, monkeypatch.context() as patched:
            patched.setattr("sys.stdout", full)
            assert carry_out(Work(find_photos([photos], batch, keep=[]), paint), batch) == code
        said = "Lines of JSON could not be printed: No space left on device." in (
            capfd.readouterr().err
        )
        assert said is as_json
        assert pictures() == ["a.png", "b.png", "c.png"]


def test_seconds_are_those_of_its_own_work(photos, capsys):
    def painter(job, progress, stop):
        painting = paint(job, progress, stop)
        return replace(painting, seconds=0.25 if job.input.name == "a.png" else None)

    batch = options(as_json=True)
    carry_out(Work(find_photos([photos], batch, keep=[]), painter), batch)
    seconds = [json.loads(line)["seconds"] for line in capsys.readouterr().out.splitlines()]
    assert seconds[0] == 0.25
    assert 0 < max(seconds[1:]) < 0.25


def test_a_dry_run_shows_the_plan_and_touches_nothing(photos, capsys):
    Path("stylized").mkdir()
    images.write("stylized/b.png", GREY)
    plan = find_photos([photos], options(), keep=[])
    assert carry_out(Work(plan, never), options(dry_run=True)) == 0
    out, err = capsys.readouterr()
    assert out.replace("\\", "/").splitlines() == [
        "photos/a.png -> stylized/a.png",
        "skipped photos/b.png: A file that is not in the ledger has this name;"
        " give --overwrite to replace it.",
        "photos/c.png -> stylized/c.png",
    ]
    assert "nothing was painted" in err
    assert [path.name for path in Path("stylized").iterdir()] == ["b.png"]


def test_a_dry_run_does_not_even_create_the_folder(photos, capsys):
    plan = find_photos([photos], options(), keep=[])
    assert carry_out(Work(plan, never), options(dry_run=True, as_json=True)) == 0
    assert not Path("stylized").exists()
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["status"] for record in records] == ["planned"] * 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_batch_with_130_and_nothing_half_written(photos, capfd, number):
    def painter(job, progress, stop):
        if job.input.name == "b.png":
            signal.raise_signal(number)
            while not stop():  # the main thread is told of it
                time.sleep(0.001)
            raise KeyboardInterrupt
        return paint(job, progress, stop)

    assert carry_out(Work(find_photos([photos], options(), keep=[]), painter), options()) == 130
    out, err = capfd.readouterr()
    assert len(out.splitlines()) == 1
    assert "interrupted: 1 picture done, 2 not tried" in err
    assert pictures() == ["a.png"]


def test_an_output_folder_that_cannot_be_written_is_found_before_the_first_step(photos):
    Path("stylized").touch()
    plan = find_photos([photos], options(), keep=[])
    with pytest.raises(UsageError, match="cannot be written to"):
        carry_out(Work(plan, never), options())


def test_nothing_found_is_exit_code_3(capsys):
    Path("empty").mkdir()
    with pytest.raises(typer.Exit) as ended:
        find_photos([Path("empty")], options(), keep=[])
    assert ended.value.exit_code == 3
    assert capsys.readouterr().err == (
        "nstbatch: No photo was found in empty. Give --recursive to look into subfolders.\n"
    )


def test_a_folder_of_other_pictures_alone_is_not_told_to_look_deeper(capsys):
    Path("phone").mkdir()
    Path("phone/IMG_0001.PSD").touch()
    with pytest.raises(typer.Exit):
        find_photos([Path("phone")], options(), keep=[])
    assert capsys.readouterr().err.splitlines() == [
        "nstbatch: No photo was found in phone.",
        "nstbatch: Left alone, as nstbatch cannot read them: 1 .psd file; "
        "ImageMagick or GIMP turns them into PNG.",
    ]


def test_what_is_left_alone_is_said_unless_quiet(photos, capsys):
    (photos / "d.psd").touch()
    (photos / "link").symlink_to(photos.absolute())
    assert len(find_photos([photos], options(recursive=True), keep=[]).jobs) == 3
    err = capsys.readouterr().err
    assert "1 .psd file" in err
    assert f"Not followed: 1 link ({photos / 'link'}) to folders." in err
    find_photos([photos], options(recursive=True, quiet=True), keep=[])
    assert capsys.readouterr().err == ""


def test_a_picture_for_the_whole_batch_has_to_be_readable(photos):
    assert read_picture(photos / "a.png", "the style").pixels.shape == (4, 6, 3)
    (photos / "b.png").write_bytes(b"")
    for name in ("b.png", "gone.png"):
        with pytest.raises(UsageError, match=rf"{name} cannot be the style: ") as raised:
            read_picture(photos / name, "the style")
        assert isinstance(raised.value.__cause__, ImageError)


# ---- what is there already ---------------------------------------------------------------------


def with_settings(**settings) -> BatchOptions:
    words = ("stylize", "photos", "--size", str(settings["size"]))
    return options(invocation=Invocation("stylize", settings, Call(words)))


@pytest.mark.parametrize("dry_run", [False, True])
def test_pictures_of_other_settings_are_not_mixed_with_new_ones(photos, dry_run):
    plan = find_photos([photos], options())
    assert carry_out(Work(plan, paint), with_settings(size=512)) == 0
    (photos / "d.png").write_bytes((photos / "a.png").read_bytes())
    plan, changed = find_photos([photos], options()), with_settings(size=256)
    message = r"3 pictures made with other settings or from other photos:[\s\S]*--overwrite"
    with pytest.raises(UsageError, match=message):
        carry_out(Work(plan, never), replace(changed, dry_run=dry_run))
    assert pictures() == ["a.png", "b.png", "c.png"]
    assert carry_out(Work(plan, paint), replace(changed, overwrite=True)) == 0
    assert carry_out(Work(plan, never), changed) == 0


def test_the_bytes_of_a_style_count(photos):
    plan, style = find_photos([photos], options()), Path("style.jpg")
    style.write_text("one")
    assert carry_out(Work(plan, paint, sources={"style": style}), with_settings(size=512)) == 0
    style.write_text("two")
    with pytest.raises(UsageError, match="made with other settings or from other photos"):
        carry_out(Work(plan, never, sources={"style": style}), with_settings(size=512))


def test_a_run_that_has_nothing_to_do_writes_nothing(photos):
    plan = find_photos([photos], options())
    carry_out(Work(plan, paint), options())
    before = Path("stylized", NAME).read_bytes()
    carry_out(Work(plan, never), options())
    assert Path("stylized", NAME).read_bytes() == before


# ---- how to go on -----------------------------------------------------------------------------


def test_a_batch_that_was_stopped_says_how_to_go_on(photos, capfd):
    def painter(job, progress, stop):
        raise OSError(28, "No space left on device")

    batch = with_settings(size=512)
    assert carry_out(Work(find_photos([photos], batch), painter), batch) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert "nstbatch: The batch was stopped. Nothing more can be written, No space left" in err
    assert err.endswith("to go on: nstbatch stylize photos --size 512\n")


def test_an_interrupted_one_too_and_a_name_with_a_newline_is_one_line(photos, capfd):
    def painter(job, progress, stop):
        raise KeyboardInterrupt

    words = ("stylize", "a\nb \x1b[31m.png", "<img src=x onerror=alert(1)>.jpg", "it's")
    batch = options(invocation=Invocation("stylize", {}, Call(words)), quiet=True)
    assert carry_out(Work(find_photos([photos], batch), painter), batch) == 130
    assert capfd.readouterr().err.splitlines()[-1] == (
        r"to go on: nstbatch stylize $'a\012b \033[31m.png' "
        """'<img src=x onerror=alert(1)>.jpg' 'it'"'"'s'"""
    )


def test_what_was_piped_in_has_to_be_piped_in_again(photos, capfd):
    def painter(job, progress, stop):
        raise KeyboardInterrupt

    batch = replace(with_settings(size=512), inputs=InputOptions(Path("-")))
    plan = find_photos([photos], with_settings(size=512))
    assert carry_out(Work(plan, painter), batch) == 130
    last = capfd.readouterr().err.splitlines()[-1]
    assert last == "to go on, with the same standard input: nstbatch stylize photos --size 512"


# ---- a dry run --------------------------------------------------------------------------------


def test_a_dry_run_estimates(photos, capsys):
    batch, effort = with_settings(size=512), Effort(200, lambda photo: (341, 512), lambda *_: 2**31)
    plan = find_photos([photos], batch)
    carry_out(Work(plan, never, effort=effort), replace(batch, dry_run=True))
    err = capsys.readouterr().err
    assert "3 pictures, 3 to paint: very roughly " in err
    assert "2.1 GB of memory" in err
    carry_out(Work(Plan(plan.jobs[:1]), paint, effort=effort), batch)
    carry_out(Work(plan, never, effort=effort), replace(batch, dry_run=True))
    assert "3 pictures, 2 to paint: about " in capsys.readouterr().err


def test_too_little_memory_is_said_before_the_work(photos, capsys):
    plan = find_photos([photos], options(), keep=[])
    carry_out(Work(plan, paint, effort=HUGE), options())
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith(
        "nstbatch: A picture of 8000x6000 pixels will need about 1000000.0 GB of memory, and "
    )
    assert "--max-size" in first
    carry_out(Work(plan, never, effort=HUGE), options())  # there is nothing to paint
    assert "memory" not in capsys.readouterr().err


def test_hostile_names_are_text_in_console_and_ledger(photos, capfd):
    names = ["<img src=x onerror=alert(1)>.png", "a\nb.png", "[red]c.png"]
    for name in names:
        images.write(photos / name, GREY)
    (photos / "d\x1b[2J.png").touch()
    carry_out(Work(find_photos([photos], options()), paint), options())
    out, err = capfd.readouterr()
    for name in ("<img src=x onerror=alert(1)>.png", r"a\nb.png", "[red]c.png"):
        assert sum(name in line for line in out.splitlines()) == 1
        assert sum(f"done photos/{name}" in line for line in err.splitlines()) == 1
    assert r"failed photos/d\x1b[2J.png" in err
    assert "\x1b" not in out + err
    ledger = Path("stylized", NAME).read_text(encoding="utf-8")
    written = {json.loads(line).get("output_in_folder") for line in ledger.splitlines()}
    assert written >= {*names, "d\x1b[2J.png"}
    assert ledger.isascii()


# --- What would be faster -----------------------------------------------------------------------


MISSING = Finding("cuda", usable=False, detail="it was built without it", fix="pip install it")


@pytest.mark.parametrize(
    ("settings", "missing", "said"),
    [
        ({"device": "auto", "precision": "auto"}, MISSING, True),
        ({"device": "auto", "precision": "auto"}, None, False),
        ({"device": "cpu", "precision": "auto"}, MISSING, False),
        ({"device": "auto", "precision": "fp32"}, MISSING, False),
        ({}, MISSING, False),  # a verb that computes nothing
    ],
)
def test_a_faster_device_that_lacks_packages_is_named(
    photos, monkeypatch, capsys, settings, missing, said
):
    monkeypatch.setattr(providers, "within_reach", lambda: missing)
    batch = options(invocation=Invocation("stylize", settings))
    carry_out(Work(find_photos([photos], batch), paint), batch)
    sentence = (
        "nstbatch: The device 'cuda' would be faster and cannot be used: it was built without it. "
        "To change that: pip install it\n"
    )
    assert (sentence in capsys.readouterr().err) == said
    carry_out(Work(find_photos([photos], batch), never), batch)
    assert sentence not in capsys.readouterr().err  # there is nothing to wait for


def test_a_quiet_batch_names_no_faster_device(photos, monkeypatch, capsys):
    monkeypatch.setattr(providers, "within_reach", lambda: MISSING)
    settings = {"device": "auto", "precision": "auto"}
    batch = options(invocation=Invocation("stylize", settings), quiet=True)
    carry_out(Work(find_photos([photos], batch), paint), batch)
    assert capsys.readouterr().err == ""
