"""The command end to end, on a real network: tiny textures, two steps."""

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nstbatch.cli.main import run
from nstbatch.cli.options.texture import parse_mixed, parse_size
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.pictures import images

MODEL = ("--model", "squeezenet1_1", "--device", "cpu", "--threads", "1")
QUICK = (*MODEL, "--size", "80x64", "--iterations", "2", "--scales", "1")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NSTBATCH_HOME", str(tmp_path / "home"))
    Path("cloth").mkdir()
    return tmp_path


def save(path: str, size: tuple[int, int] = (80, 72), mode: str = "RGB", seed: int = 0) -> None:
    """Smooth colours: a few random ones, enlarged."""
    colours = np.random.default_rng(seed).integers(0, 256, (4, 5, len(mode)), dtype=np.uint8)
    small = Image.fromarray(colours.squeeze())
    small.resize(size, Image.Resampling.BICUBIC).save(path)


def texture(*arguments: str) -> int:
    return run(["texture", *QUICK, *arguments])


def records(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def pictures(out: str = "textures") -> list[str]:
    return sorted(path.name for path in Path(out).iterdir() if path.suffix == ".png")


def test_every_exemplar_becomes_textures_and_again_nothing(capsys):
    save("cloth/wool.jpg")
    save("cloth/linen.png", mode="L")
    assert texture("cloth", "--variations", "2") == 0
    names = ["linen-1.png", "linen-2.png", "wool-1.png", "wool-2.png"]
    printed = sorted(capsys.readouterr().out.split())
    assert printed == [str(Path("textures", name)) for name in names]
    assert pictures() == names
    for name in names:
        assert images.read(Path("textures", name)).pixels.shape == (64, 80, 3)
    assert len({Path("textures", name).read_bytes() for name in names}) == 4
    Path("textures/wool-1.png").unlink()
    assert texture("cloth", "--variations", "2", "--json") == 0
    statuses = {Path(record["output"]).name: record["status"] for record in records(capsys)}
    assert statuses == dict.fromkeys(names, "skipped") | {"wool-1.png": "done"}


def test_one_seed_gives_identical_bytes():
    save("cloth/wool.jpg")
    for out, *options in (("one",), ("two",), ("three", "--seed", "1")):
        assert texture("cloth", "-o", out, "--tileable", *options) == 0
    one, two, three = (Path(out, "wool.png").read_bytes() for out in ("one", "two", "three"))
    assert one == two != three


def test_options_reach_the_objective_and_the_report(capsys):
    save("cloth/wool.jpg")
    options = ("--layers", "fire4/concat,pool1=3", "--up-to", "pool3", "--no-histogram", "--json")
    assert texture("cloth", *options) == 0
    (done,) = records(capsys)
    assert (done["status"], done["steps"], done["provider"]) == ("done", 2, "cpu")
    assert list(done["losses"]) == ["style/pool1", "total"]
    assert done["losses"]["total"] > 0


def test_the_style_loss_and_the_spectrum_reach_the_objective(capsys):
    save("cloth/wool.jpg")
    save("cloth/large.jpg", (140, 130))
    of_layer = ("--layers", "pool1", "--json", "--spectrum-weight", "0.1")
    assert texture("cloth/wool.jpg", *of_layer, "--style-loss", "sliced") == 0
    large = (*of_layer, "--style-loss", "shifted-gram", "--size", "130x128")
    assert texture("cloth/large.jpg", *large) == 0
    sliced, shifted = (list(record["losses"]) for record in records(capsys))
    assert sliced == ["sliced/pool1", "spectrum", "total"]
    shifts = [f"shifted-{places}/pool1" for places in (4, 8, 16)]
    assert shifted == ["style/pool1", *shifts, "spectrum", "total"]


def test_further_exemplars_are_mixed_in(capsys):
    save("cloth/wool.jpg")
    save("linen.png", seed=1)
    assert texture("cloth", "-o", "plain") == 0
    assert texture("cloth", "--mix", "linen.png=0.5") == 0
    assert texture("cloth", "-o", "again", "--mix", "linen.png=0.5") == 0
    plain, mixed, again = (Path(out, "wool.png") for out in ("plain", "textures", "again"))
    assert plain.read_bytes() != mixed.read_bytes() == again.read_bytes()
    save("linen.png", seed=2)  # another picture by now
    assert texture("cloth", "--mix", "linen.png=0.5") == 2
    capsys.readouterr()
    assert texture("cloth", "--mix", "none.png", "-o", "none") == 2
    assert "none.png cannot be a further exemplar" in capsys.readouterr().err


def test_the_weight_of_an_exemplar_follows_the_last_equals_sign():
    names = ["a.png", "b.png=0.5", "c=d.png", "e=f.png=2", "g=.25"]
    assert parse_mixed(names) == [
        (Path("a.png"), 1.0),
        (Path("b.png"), 0.5),
        (Path("c=d.png"), 1.0),
        (Path("e=f.png"), 2.0),
        (Path("g"), 0.25),
    ]


def test_a_bad_exemplar_does_not_stop_the_others(capsys, write_bad_inputs):
    reasons = write_bad_inputs(Path("cloth"))
    del reasons["truncated.jpg"]  # would become the same picture as truncated.png
    Path("cloth/truncated.jpg").unlink()
    save("cloth/small.png", (62, 90))
    save("cloth/wool.jpg")
    assert texture("cloth", "--json") == 1
    found = {Path(record["input"]).name: record for record in records(capsys)}
    assert found.pop("wool.jpg")["status"] == "done"
    assert found.pop("small.png")["reason"].startswith(
        "The exemplar is 62x90 pixels; fire5/concat sees 63x63 at once."
    )
    assert set(found) == set(reasons)
    for name, reason in reasons.items():
        assert found[name]["status"] == "failed"
        assert reason in found[name]["reason"]
    assert pictures() == ["wool.png"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--up-to", "relu9"), "Unknown layer of squeezenet1_1: 'relu9'"),
        (("--layers", "relu9"), "Unknown layer of squeezenet1_1: 'relu9'"),
        (("--up-to", "conv1"), "No layer is left"),
        (("--size", "80x"), "WIDTHxHEIGHT"),
        (("--size", "6"), "The texture is 6x6 pixels; fire5/concat needs at least"),
        (("--size", "0x9"), "width must be a whole number of at least 1"),
        (("--pooling", "median"), "Unknown pooling 'median'"),
        (("--style-loss", "grim"), "Unknown style_loss 'grim'. Did you mean 'gram'?"),
        (("--style-loss", "shifted-gram"), "The texture is 80x64 pixels; shifted-gram needs"),
        (("--spectrum-weight", "-1"), "spectrum_weight must be a number of at least 0"),
        (("--layers", "pool10", "--style-loss", "shifted-gram"), "pool10 has no places"),
    ],
)
def test_what_would_be_wrong_with_every_exemplar_ends_the_command(capsys, options, message):
    save("cloth/wool.jpg")
    assert texture("cloth", *options) == 2
    assert message in capsys.readouterr().err
    assert not Path("textures").exists()


def test_a_dry_run_shows_the_variations_and_makes_none(capsys):
    save("cloth/wool.jpg")
    assert texture("cloth", "--variations", "2", "--dry-run", "--json") == 0
    assert [record["output"] for record in records(capsys)] == [
        str(Path("textures/wool-1.png")),
        str(Path("textures/wool-2.png")),
    ]
    assert not Path("textures").exists()


def test_no_exemplar_is_an_exit_code_of_its_own(capsys):
    assert texture("cloth") == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_was_killed_goes_on_with_what_is_missing(capsys, number):
    save("cloth/wool.jpg")
    assert texture("cloth", "--variations", "1", "-o", "alone") == 0
    Path("textures").mkdir()
    first = Path("textures/wool-1.png")
    first.write_bytes(Path("alone/wool.png").read_bytes())
    before = first.stat().st_mtime_ns
    command = [sys.executable, "-m", "nstbatch", "texture", "cloth", *QUICK, "--variations", "2"]
    with subprocess.Popen(
        [*command, "--iterations", "1000000", "-v"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        for line in program.stderr:
            if "scale 1/1" in line:
                program.send_signal(number)
                break
        _, err = program.communicate(timeout=60)
    assert program.returncode == 130
    assert "Traceback" not in err
    assert pictures() == ["wool-1.png"]  # nothing half-written
    capsys.readouterr()
    assert texture("cloth", "--variations", "2", "--json") == 0
    assert [record["status"] for record in records(capsys)] == ["skipped", "done"]
    assert pictures() == ["wool-1.png", "wool-2.png"]
    assert first.stat().st_mtime_ns == before


def test_the_first_variation_is_the_only_one_there_would_be_without_the_others():
    save("cloth/wool.jpg")
    assert texture("cloth", "-o", "alone") == texture("cloth", "--variations", "2") == 0
    assert Path("alone/wool.png").read_bytes() == Path("textures/wool-1.png").read_bytes()


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("768x512", (768, 512)),
        ("512", (512, 512)),
        (" 64X48 ", (64, 48)),
        ("own", ("own", "own")),
    ],
)
def test_a_size_is_width_by_height_or_a_square(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "768x", "x512", "-4", "1.5", "3x4x5", "٣"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(UsageError, match="WIDTHxHEIGHT"):
        parse_size(text)


def test_textures_as_large_as_their_exemplars():
    save("cloth/small.png", (80, 72))
    save("cloth/large.png", (90, 120))
    shapes = {}
    for out, options in (("own", ("--size", "own")), ("bounded", ("--max-size", "96"))):
        words = [word for word in QUICK if word not in ("--size", "80x64")]
        assert run(["texture", "cloth", "-o", out, *words, *options]) == 0
        for name in ("small", "large"):
            shapes[out, name] = images.read(f"{out}/{name}.png").pixels.shape[:2]
    assert shapes == {
        ("own", "small"): (72, 80),
        ("own", "large"): (120, 90),
        ("bounded", "small"): (72, 80),
        ("bounded", "large"): (96, 72),
    }


def test_the_recipe_of_a_variation_makes_it_again(capsys):
    save("cloth/wool.png")
    assert texture("cloth", "--variations", "3") == 0
    capsys.readouterr()
    assert run(["recipe", "textures/wool-2.png"]) == 0
    words = shlex.split(capsys.readouterr().out)
    assert run([*words[1:], "--out", "again"]) == 0
    assert Path("again/wool-2.png").read_bytes() == Path("textures/wool-2.png").read_bytes()
