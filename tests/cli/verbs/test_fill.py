"""The command end to end, on a real network: small pictures, one search."""

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest

from nstbatch.cli.main import run

MODEL = ("--model", "squeezenet1_1", "--device", "cpu", "--threads", "1")
QUICK = (*MODEL, "--iterations", "1")
HOLE = np.zeros((72, 80), np.bool_)
HOLE[30:45, 40:60] = True


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NSTBATCH_HOME", str(tmp_path / "home"))
    Path("walls").mkdir()
    cv2.imwrite("mask.png", np.uint8(HOLE) * 255)
    return tmp_path


def noise(channels=3, dtype=np.uint8, seed=0):
    """(72, 80, C): blurred noise over the whole range."""
    values = cv2.GaussianBlur(
        np.random.default_rng(seed).normal(0, 1, (72, 80, channels)), (0, 0), 2
    ).reshape(72, 80, channels)
    values = (values - values.min()) / np.ptp(values)
    return (values * np.iinfo(dtype).max).astype(dtype)


def fill(*arguments: str) -> int:
    return run(["fill", *QUICK, *arguments])


def records(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def read(path: str) -> np.ndarray:
    return cv2.imread(path, cv2.IMREAD_UNCHANGED)


def test_a_hole_is_filled_and_the_rest_stays_and_again_nothing(capsys):
    wall = noise()
    cv2.imwrite("walls/wall.png", wall)
    cv2.imwrite("walls/other.png", noise(seed=1))
    assert fill("walls", "--mask", "mask.png") == 0
    printed = sorted(capsys.readouterr().out.split())
    assert printed == [str(Path("filled", name)) for name in ("other.png", "wall.png")]
    filled = read("filled/wall.png")
    np.testing.assert_array_equal(filled[~HOLE], wall[~HOLE])
    assert (filled[HOLE] != wall[HOLE]).any()
    Path("filled/wall.png").unlink()
    assert fill("walls", "--mask", "mask.png", "--json") == 0
    statuses = {Path(record["output"]).name: record["status"] for record in records(capsys)}
    assert statuses == {"other.png": "skipped", "wall.png": "done"}
    assert (read("filled/wall.png") == filled).all()


def test_16_bits_outside_the_hole_stay_too():
    wall = noise(dtype=np.uint16)
    cv2.imwrite("walls/wall.png", wall)
    assert fill("walls/wall.png", "--mask", "mask.png") == 0
    filled = read("filled/wall.png")
    assert filled.dtype == np.uint16
    np.testing.assert_array_equal(filled[~HOLE], wall[~HOLE])


def test_transparent_pixels_are_the_hole_and_the_result_is_opaque():
    wall = noise(4)
    wall[..., 3] = np.where(HOLE, 0, 255)
    cv2.imwrite("walls/wall.png", wall)
    assert fill("walls/wall.png") == 0
    filled = read("filled/wall.png")
    assert filled.shape == (72, 80, 3)
    np.testing.assert_array_equal(filled[~HOLE], wall[~HOLE][:, :3])


def test_a_picture_is_made_to_tile():
    wall = noise()
    cv2.imwrite("walls/wall.png", wall)
    assert fill("walls/wall.png", "--tile", "--iterations", "4", "--seam", "0.2") == 0
    filled = read("filled/wall.png").astype(float)
    steps = np.abs(np.roll(filled, -1, 1) - filled).mean((0, 2))
    assert steps[-1] < 1.25 * steps[:-1].mean()
    half = round(0.2 * 72 / 2)
    middle = (slice(half, -half), slice(half, -half))
    np.testing.assert_array_equal(filled[middle], wall[middle])


# --- Further maps -----------------------------------------------------------------------------


def test_further_maps_follow_the_picture():
    """Maps that are the picture itself, in other formats, become the filled picture."""
    wall = noise()
    cv2.imwrite("walls/wall.png", wall)
    cv2.imwrite("normal.png", np.uint16(wall) * 257)
    planes = {name: np.float32(wall[..., 2 - i]) for i, name in enumerate("RGB")}
    with OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION}, planes) as file:
        file.write("height.exr")
    also = ("--also", "normal.png", "--also", "height.exr")
    assert fill("walls/wall.png", "--mask", "mask.png", *also) == 0
    assert sorted(path.name for path in Path("filled").glob("wall*")) == [
        "wall.height.exr", "wall.normal.png", "wall.png",
    ]  # fmt: skip
    filled = read("filled/wall.png").astype(float)
    normal = read("filled/wall.normal.png")
    assert normal.dtype == np.uint16
    np.testing.assert_allclose(normal / 257, filled, atol=1)
    np.testing.assert_array_equal(normal[~HOLE], np.uint16(wall)[~HOLE] * 257)
    with OpenEXR.File("filled/wall.height.exr", separate_channels=True) as file:
        red = file.channels()["R"].pixels
    assert red.dtype == np.float32
    np.testing.assert_allclose(red, filled[..., 2], atol=0.51)


def test_a_changed_map_makes_the_picture_again(capsys):
    cv2.imwrite("walls/wall.png", noise())
    cv2.imwrite("normal.png", noise())
    arguments = ("walls/wall.png", "--mask", "mask.png", "--also", "normal.png", "--json")
    assert fill(*arguments) == fill(*arguments) == 0
    assert [record["status"] for record in records(capsys)] == ["done", "skipped"]
    cv2.imwrite("normal.png", noise(seed=1))
    assert fill(*arguments) == 2  # as with a changed style
    assert fill(*arguments, "--overwrite") == 0


def test_a_map_of_another_size_fails_with_its_picture(capsys):
    cv2.imwrite("walls/wall.png", noise())
    cv2.imwrite("normal.png", noise()[:50])
    arguments = ("walls/wall.png", "--mask", "mask.png", "--also", "normal.png", "--json")
    assert fill(*arguments) == 1
    (failed,) = records(capsys)
    assert failed["reason"] == "normal.png is 80x50 pixels, the picture 80x72."
    assert not list(Path("filled").glob("wall*"))


# --- Refused, planned, stopped ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tile", "--mask", "mask.png"), "give one of them"),
        (("--mask", "mask.png", "--seam", "0.2"), "--seam goes only with --tile"),
        (("--tile", "--seam", "0.9"), "seam must be a number from 0.01 to 0.5"),
        (("--tile", "--layers", "relu9"), "Unknown layer of squeezenet1_1: 'relu9'"),
        (("--tile", "--also", "none.png"), "none.png cannot be a map: There is no such file"),
        (("--tile", "--also", "mask.png", "--also", "walls/mask.png"), "both become NAME.mask.png"),
        (("--tile", "--also", "mask.png", "-o", "a.png"), "give --out a folder"),
        (("--tile", "--pooling", "median"), "Unknown pooling 'median'"),
    ],
)
def test_what_would_be_wrong_with_every_picture_ends_the_command(capsys, options, message):
    cv2.imwrite("walls/wall.png", noise())
    assert fill("walls/wall.png", *options) == 2
    assert message in capsys.readouterr().err
    assert not Path("filled").exists()


def test_a_picture_without_a_hole_does_not_stop_the_others(capsys):
    cv2.imwrite("walls/wall.png", noise())
    pierced = noise(4)
    pierced[..., 3] = np.where(HOLE, 0, 255)
    cv2.imwrite("walls/pierced.png", pierced)
    assert fill("walls", "--json") == 1
    found = {Path(record["input"]).name: record for record in records(capsys)}
    assert found["pierced.png"]["status"] == "done"
    assert found["wall.png"]["reason"].startswith("It has no hole")


def test_a_dry_run_shows_the_pictures_and_makes_none(capsys):
    cv2.imwrite("walls/wall.jpg", noise())
    assert fill("walls", "--tile", "--dry-run", "--json") == 0
    assert [record["output"] for record in records(capsys)] == [str(Path("filled/wall.png"))]
    assert not Path("filled").exists()


def test_the_recipe_makes_the_picture_again(capsys):
    cv2.imwrite("walls/wall.png", noise())
    assert fill("walls/wall.png", "--mask", "mask.png") == 0
    capsys.readouterr()
    assert run(["recipe", "filled/wall.png"]) == 0
    program, *words = shlex.split(capsys.readouterr().out)
    assert [program, words[0]] == ["nstbatch", "fill"]
    assert "--mask" in words
    assert run([*words, "-o", "again"]) == 0
    assert Path("again/wall.png").read_bytes() == Path("filled/wall.png").read_bytes()


def test_a_run_that_was_killed_goes_on_with_what_is_missing(capsys):
    cv2.imwrite("walls/a.png", noise())
    assert fill("walls", "--tile") == 0
    before = Path("filled/a.png").stat().st_mtime_ns
    cv2.imwrite("walls/b.png", noise(seed=1))
    command = [sys.executable, "-m", "nstbatch", "fill", "walls", *MODEL, "--tile"]
    with subprocess.Popen(
        [*command, "-o", "endless", "--iterations", "100000", "-v"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        for line in program.stderr:
            if "scale 1/1" in line:
                program.send_signal(signal.SIGINT)
                break
        _, err = program.communicate(timeout=60)
    assert program.returncode == 130
    assert "Traceback" not in err
    assert not list(Path("endless").glob("*.png"))  # nothing half-written
    capsys.readouterr()
    assert fill("walls", "--tile", "--json") == 0
    statuses = {Path(record["output"]).name: record["status"] for record in records(capsys)}
    assert statuses == {"a.png": "skipped", "b.png": "done"}
    assert Path("filled/a.png").stat().st_mtime_ns == before
