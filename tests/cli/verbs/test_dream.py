"""The command end to end, on the real network: tiny pictures, few steps."""

import importlib.util
import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from nstbatch.cli.main import run
from nstbatch.runtime.pictures import images, sizes

PLACE = ("--device", "cpu", "--threads", "1")
QUICK = ("--size", "64", "--iterations", "2", "--octaves", "1", *PLACE)
CLASS = ("--size", "64", "--iterations", "2", *PLACE)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NSTBATCH_HOME", str(tmp_path / "home"))
    Path("photos").mkdir()
    return tmp_path


def save(path: str, seed: int = 0) -> None:
    """Smooth colours: a few random ones, enlarged."""
    colours = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    Image.fromarray(colours).resize((80, 60), Image.Resampling.BICUBIC).save(path)


def dream(*arguments: str) -> int:
    return run(["dream", *arguments])


def records(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def files(out: str = "dreamed") -> list[str]:
    found = (path for path in Path(out).rglob("*") if path.is_file())
    names = (path.relative_to(out).as_posix() for path in found)
    ours = ("nstbatch.jsonl", "nstbatch.toml", ".made-from")
    return sorted(name for name in names if not name.endswith(ours))


def frames_of(film: bytes) -> int:
    with av.open(io.BytesIO(film)) as container:
        return sum(1 for _ in container.decode(video=0))


# ---- photos -----------------------------------------------------------------------------------


def test_a_folder_dreams_and_again_nothing(capsys):
    save("photos/a.jpg")
    save("photos/b.png", seed=1)
    assert dream("photos", *QUICK, "--json") == 0
    assert [record["status"] for record in records(capsys)] == ["done", "done"]
    assert files() == ["a.jpg", "b.png"]
    dreamed = images.read("dreamed/b.png").pixels
    photo = sizes.resize(images.read("photos/b.png").pixels, (48, 64))
    assert 0.005 < np.abs(dreamed - photo).mean() < 0.05
    assert dream("photos", *QUICK) == 0
    assert "2 already there" in capsys.readouterr().err


def test_a_bad_photo_does_not_stop_the_others(write_bad_inputs, capsys):
    reasons = write_bad_inputs(Path("photos"))
    save("photos/good.jpg")
    assert dream("photos", *QUICK) == 1
    err = capsys.readouterr().err
    assert files() == ["good.jpg"]
    for name, reason in reasons.items():
        assert any(name in line and reason in line for line in err.splitlines()), (name, reason)
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "options",
    [
        ("--layer", "fire5/concat"),
        ("--channels", "3,5"),
        ("--guide", "guide.png"),
        ("--octaves", "2"),
        ("--step-size", "3"),
        ("--jitter", "5"),
        ("--seed", "1"),
        ("--pooling", "avg"),
        ("--iterations", "3"),
        ("--model", "alexnet"),
    ],
)
def test_every_option_changes_the_dream(options):
    save("photos/a.png")
    save("guide.png", seed=1)
    assert dream("photos", *QUICK, "-o", "plain") == 0
    assert dream("photos", *QUICK, "-o", "changed", *options) == 0
    assert Path("plain/a.png").read_bytes() != Path("changed/a.png").read_bytes()


# ---- classes ----------------------------------------------------------------------------------


def test_the_channels_that_a_photo_chooses_are_told_and_in_its_recipe(capsys):
    save("photos/a.png")
    words = ("photos", *QUICK, "--layer", "fire4/concat")
    assert dream(*words, "--channels", "strongest:2") == 0
    channels = json.loads(Path("dreamed/nstbatch.jsonl").read_text().splitlines()[-1])["channels"]
    assert len(set(channels)) == 2
    named = ",".join(map(str, channels))
    assert f", channels {named})" in capsys.readouterr().err
    assert run(["recipe", "dreamed/a.png"]) == 0
    assert f" --channels {named} " in capsys.readouterr().out
    assert dream(*words, "--channels", named, "-o", "named") == 0
    same, other = (images.read(f"{out}/a.png").pixels for out in ("dreamed", "named"))
    np.testing.assert_array_equal(same, other)
    assert dream(*words, "--channels", "strongest:2") == 0
    assert "1 already there" in capsys.readouterr().err
    film = ("--frames", "2", "--video", "none", "-o", "film", "--json")
    assert dream(*words, "--channels", "strongest:2", *film) == 0
    assert records(capsys)[0]["channels"] == channels


def test_classes_become_pictures_by_their_names(capsys):
    assert dream("--class", "banana,2", "--class", "tiger cat", *CLASS, "--json") == 0
    done = records(capsys)
    names = ["banana", "great white shark", "tiger cat"]
    assert [record["input"] for record in done] == names
    assert [record["status"] for record in done] == ["done"] * 3
    assert set(done[0]["losses"]) == {"score/conv10", "likelihood/pool10", "total"}
    assert files() == ["banana.png", "great_white_shark.png", "tiger_cat.png"]
    assert images.read("dreamed/banana.png").pixels.shape == (64, 64, 3)
    assert dream("--class", "954", *CLASS) == 0
    assert "1 already there" in capsys.readouterr().err


def test_classes_by_their_prior_and_with_transparency(capsys):
    assert dream("--class", "banana", *CLASS) == 0
    plain = images.read("dreamed/banana.png")
    assert plain.alpha is None
    more = ("--class", "banana", *CLASS, "--overwrite")
    assert dream(*more, "--transparency") == 0
    seen = images.read("dreamed/banana.png")
    assert seen.alpha.min() < 0.5 < seen.alpha.max() == 1
    command = run(["recipe", "dreamed/banana.png"])
    assert command == 0
    assert "--transparency" in capsys.readouterr().out
    assert dream(*more, "--prior", "spectrum", "--json") == 0
    assert "tv" in records(capsys)[0]["losses"]
    assert (images.read("dreamed/banana.png").pixels != plain.pixels).any()


# ---- films ------------------------------------------------------------------------------------


@pytest.mark.parametrize("video", ["mp4", "gif"])
def test_a_film_of_each_photo_and_its_frames(video, capsys):
    save("photos/a.jpg")
    save("photos/b.png", seed=1)
    assert dream("photos", "--frames", "3", "--video", video, *QUICK, "--json") == 0
    assert [record["steps"] for record in records(capsys)] == [6, 6]
    frames = [f"00000{number}.png" for number in (1, 2, 3)]
    assert files() == sorted(
        [f"a.{video}", f"b.{video}", *(f"{name}/{frame}" for name in "ab" for frame in frames)]
    )
    assert frames_of(Path(f"dreamed/a.{video}").read_bytes()) == 3


def test_frames_alone_are_done_with_the_last(capsys):
    save("photos/a.jpg")
    arguments = ("photos", "--frames", "2", "--video", "none", *QUICK)
    assert dream(*arguments) == 0
    assert capsys.readouterr().out.split() == [str(Path("dreamed/a/000002.png"))]
    assert files() == ["a/000001.png", "a/000002.png"]
    assert dream(*arguments) == 0
    assert "1 already there" in capsys.readouterr().err


def test_a_film_from_noise(capsys):
    assert dream("--frames", "2", *QUICK, "--json") == 0
    (record,) = records(capsys)
    assert (record["input"], record["output"]) == ("noise", str(Path("dreamed/noise.mp4")))
    assert images.read("dreamed/noise/000002.png").pixels.shape == (64, 64, 3)


def test_overwriting_makes_the_frames_anew():
    save("photos/a.jpg")
    assert dream("photos", "--frames", "3", *QUICK) == 0
    before = Path("dreamed/a/000001.png").read_bytes()
    Path("dreamed/a/notes.png").touch()
    assert dream("photos", "--frames", "2", "--seed", "5", "--overwrite", *QUICK) == 0
    assert files() == ["a.mp4", "a/000001.png", "a/000002.png", "a/notes.png"]
    assert Path("dreamed/a/000001.png").read_bytes() != before
    assert frames_of(Path("dreamed/a.mp4").read_bytes()) == 2


def test_overwriting_a_film_leaves_pictures_alone_that_are_no_frames(capsys):
    save("photos/a.png")
    Path("dreamed/a").mkdir(parents=True)
    save("dreamed/a/000001.png", seed=3)
    before = Path("dreamed/a/000001.png").read_bytes()
    assert dream("photos", "--frames", "2", "--video", "gif", "--overwrite", *QUICK) == 1
    assert "are of another dream" in capsys.readouterr().err
    assert Path("dreamed/a/000001.png").read_bytes() == before


@pytest.mark.parametrize("option", [("--format", "jpg"), ("--strip",), ("--quality", "9")])
def test_a_film_takes_no_options_of_pictures(option, capsys):
    save("photos/a.png")
    assert dream("photos", "--frames", "2", *option, *QUICK) == 2
    assert "--video says what is made" in capsys.readouterr().err


def test_a_film_has_its_frames_and_no_snapshots(capsys):
    save("photos/a.png")
    assert dream("photos", "--frames", "2", "--snapshots", "2", *QUICK) == 2
    assert "--snapshots does not go with --frames; the frames" in capsys.readouterr().err


def test_a_film_that_was_killed_goes_on_where_it_was():
    save("photos/a.png")
    arguments = ["dream", "photos", "--frames", "5", *QUICK]
    assert run([*arguments, "-o", "whole"]) == 0
    with subprocess.Popen([sys.executable, "-m", "nstbatch", *arguments]) as program:
        while not Path("dreamed/a/000002.png").exists():
            assert program.poll() is None
        program.kill()
    there = {name: Path("dreamed", name).stat().st_mtime_ns for name in files()}
    assert run(arguments) == 0
    for name in files():
        whole, ours = Path("whole", name), Path("dreamed", name)
        if ours.suffix == ".png":
            assert ours.read_bytes() == whole.read_bytes()
            assert ours.stat().st_mtime_ns == there.get(name, ours.stat().st_mtime_ns)
    assert "a.mp4" in files()


def test_an_interrupted_film_keeps_its_frames_and_has_no_film():
    save("photos/a.png")
    command = [sys.executable, "-m", "nstbatch", "dream", "photos", "--frames", "100000", *QUICK]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as program:
        while not Path("dreamed/a/000002.png").exists():
            assert program.poll() is None
        program.send_signal(signal.SIGINT)
        _, err = program.communicate(timeout=60)
    assert program.returncode == 130
    assert "interrupted: 0 pictures done" in err
    assert set(files()) == {f"a/{number:06}.png" for number in range(1, len(files()) + 1)}


# ---- wrong usage ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Give a photo to dream of"),
        (("photos", "--layer", "fire77/concat"), "Did you mean 'fire7/concat'"),
        (("photos", "--layer", "pool10"), "sees the picture as a whole"),
        (("photos", "--channels", "384"), "fire7/concat has 384 channels, 0 to 383"),
        (("photos", "--channels", "three"), "--channels takes numbers"),
        (("photos", "--channels", "strongest:0"), "or strongest or strongest:N, not 'strongest:0'"),
        (("photos", "--channels", "strongest:385"), "fire7/concat has 384 channels, 0 to 383"),
        (("photos", "--channels", ","), "--channels needs at least one channel"),
        (("photos", "--guide", "gone.jpg"), "gone.jpg cannot be the guide: "),
        (("photos", "--guide", "small.png"), "small.png cannot be the guide: The guide is 2x2"),
        (("photos", "--guide", "photos/a.png", "--channels", "1"), "not both"),
        (("photos", "--octaves", "0"), "octaves must be"),
        (("photos", "--octave-scale", "1"), "octave_scale must be"),
        (("photos", "--step-size", "0"), "step_size must be"),
        (("photos", "--model", "vgg61"), "Did you mean 'vgg16'"),
        (("photos", "--zoom", "1.1"), "--zoom needs --frames"),
        (("photos", "--video", "gif"), "--video needs --frames"),
        (("photos", "--frames", "0"), "frames must be"),
        (("photos", "--frames", "2", "--zoom", "0.9"), "zoom must be"),
        (("photos", "--frames", "2", "--fps", "0"), "fps must be"),
        (("photos", "--frames", "2", "--video", "avi"), "mp4, gif, none"),
        (("photos", "--out", "photos"), "would overwrite"),
        (("gone.jpg",), "There is no file or folder gone.jpg"),
        (("--class", "bananna"), "Did you mean 'banana' (954)"),
        (("--class", "cat"), "could be 'tiger cat' (282)"),
        (("--class", ","), "--class needs at least one class name"),
        (("--class", "banana", "--size", "8"), "The picture is 8x8 pixels; conv10 needs"),
        (("--class", "banana", "--model", "vgg16"), "vgg16 was exported without a classifier"),
        (("--class", "banana", "photos"), "A photo does not go with --class"),
        (("--class", "banana", "--layer", "conv1"), "--layer does not go with --class"),
        (("--class", "banana", "--frames", "3"), "--frames does not go with --class"),
        (("--class", "banana", "--prior", "macaw"), "Did you mean 'maco'"),
        (("--class", "banana", "--transparency", "--format", "jpg"), "JPEG has no transparency"),
        (("--class", "banana", "--transparency", "-o", "a.JPG"), "JPEG has no transparency"),
        (("photos", "--prior", "maco"), "--prior needs --class"),
        (("--frames", "2", "--transparency"), "--transparency needs --class"),
    ],
)
def test_wrong_usage_is_found_before_the_first_step(capsys, arguments, message):
    save("photos/a.png")
    Image.new("RGB", (2, 2)).save("small.png")
    assert dream(*arguments, *PLACE) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in " ".join(err.split())
    assert "Traceback" not in err
    assert not Path("dreamed").exists()


def test_without_pyav_no_frame_is_made(monkeypatch, capsys):
    save("photos/a.png")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert dream("photos", "--frames", "2", *QUICK) == 2
    assert "pip install 'nstbatch[video]'" in capsys.readouterr().err
    assert not Path("dreamed").exists()


def test_a_photo_that_cannot_be_dreamed_of_leaves_no_folder(write_bad_inputs):
    assert write_bad_inputs(Path("photos"))
    Path("photos/truncated.png").unlink()  # its film would have the name of truncated.jpg's
    save("photos/good.jpg")
    assert dream("photos", "--frames", "2", *QUICK) == 1
    found = sorted(path.name for path in Path("dreamed").iterdir())
    assert found == ["good", "good.mp4", "nstbatch.jsonl", "nstbatch.toml"]


def test_films_of_one_name_are_refused(capsys):
    save("photos/a.png")
    save("photos/a.jpg")
    assert dream("photos", "--frames", "2", *QUICK) == 2
    assert "would both become" in capsys.readouterr().err


def test_an_empty_folder_is_exit_code_3():
    assert dream("photos", *QUICK) == 3


def test_dreams_have_the_sizes_of_their_photos_and_what_has_no_photo_needs_a_number(capsys):
    save("photos/a.png")
    words = ("--iterations", "1", "--octaves", "1", *PLACE)
    assert dream("photos", "--size", "own", *words) == 0
    assert images.read("dreamed/a.png").pixels.shape == (60, 80, 3)
    assert dream("photos", "--max-size", "70", "--frames", "2", "--video", "none", *words) == 0
    assert images.read("dreamed/a/000002.png").pixels.shape == (52, 70, 3)
    capsys.readouterr()
    for wrong, why in (
        (("--class", "banana", "--size", "own"), "The size must be a whole number"),
        (("--class", "banana", "--max-size", "64"), "--max-size does not go with --class"),
        (("--frames", "2", "--size", "own"), "--size own needs a photo"),
        (("--frames", "2", "--max-size", "64"), "--max-size needs a photo"),
    ):
        assert dream(*wrong, *PLACE) == 2
        assert why in capsys.readouterr().err


def test_a_dry_run_dreams_nothing(capsys):
    save("photos/a.png")
    assert dream("photos", "--frames", "2", "--dry-run", *QUICK) == 0
    assert "a.mp4" in capsys.readouterr().out
    assert dream("--class", "banana", "--dry-run", *CLASS) == 0
    assert "banana.png" in capsys.readouterr().out
    assert not Path("dreamed").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("photos", *QUICK),
        ("--class", "tabby", *CLASS),
        ("photos", "--frames", "2", "--video", "gif", *QUICK),
        ("--frames", "2", "--video", "gif", *QUICK),
    ],
)
def test_the_settings_that_a_batch_leaves_are_those_of_the_same_batch(words, capsys):
    """They have the options of the other kinds of dreams too, at their defaults."""
    save("photos/a.jpg")
    assert dream(*words) == 0
    assert dream("--config", "dreamed/nstbatch.toml") == 0
    assert "1 already there" in capsys.readouterr().err
    if "--frames" not in words:
        assert dream("--config", "dreamed/nstbatch.toml", "--fps", "3") == 2
        assert "--fps" in capsys.readouterr().err
