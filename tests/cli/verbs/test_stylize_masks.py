"""``nstbatch stylize`` with masks: tiny pictures, two steps."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nstbatch.cli.jobs.mask_files import mask_of, masks_of_styles
from nstbatch.cli.main import run
from nstbatch.runtime.errors import UsageError

QUICK = ("--size", "64", "--iterations", "2", "--scales", "1", "--device", "cpu")
WORDS = ("photos", "--model", "alexnet", *QUICK)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NSTBATCH_HOME", str(tmp_path / "home"))
    for seed, name in enumerate(("photos/a.png", "photos/b.png", "one.png", "two.png")):
        Path(name).parent.mkdir(exist_ok=True)
        colours = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(colours).resize((80, 60), Image.Resampling.BICUBIC).save(name)
    Path("masks").mkdir()
    mask("masks/a.png", "red", "blue")
    mask("both.png", "red", "blue")
    return tmp_path


def mask(name: str, left: str, right: str) -> None:
    image = Image.new("RGB", (80, 60), left)
    image.paste(Image.new("RGB", (40, 60), right), (40, 0))
    image.save(name)


def stylize(*words: str, out: str = "stylized") -> int:
    return run(["stylize", *WORDS, "--out", out, *words])


def test_masks_of_a_folder_are_those_of_the_photos_names(capsys):
    words = ("-s", "one.png", "--mask", "masks", "--style-mask", "both.png")
    assert stylize(*words, "--json") == 1
    lines = {line["input"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    done, failed = lines[str(Path("photos/a.png"))], lines[str(Path("photos/b.png"))]
    assert done["status"] == "done"
    kinds = {name.partition("@")[2] for name in done["losses"] if name.startswith("scaled-style")}
    assert kinds == {"ff0000", "0000ff"}
    assert failed["status"] == "failed"
    assert "mask" in failed["reason"]
    mask("masks/b.png", "red", "blue")
    assert stylize(*words) == 0
    assert "1 picture done, 1 already there" in capsys.readouterr().err
    mask("masks/b.png", "blue", "red")  # another mask makes another picture
    assert stylize(*words) == 2


@pytest.mark.parametrize("words", [("--method", "nnst"), ("--style-loss", "moments")])
def test_masks_go_with_other_methods_and_losses(words):
    masks = ("--mask", "both.png", "--style-mask", "both.png")
    assert stylize("-s", "one.png", *words, out="plain") == 0
    assert stylize("-s", "one.png", *words, *masks, out="masked") == 0
    assert Path("plain/a.png").read_bytes() != Path("masked/a.png").read_bytes()


def test_each_region_may_have_a_style_of_its_own_and_the_recipe_says_so(capsys):
    mask("red.png", "red", "red")
    mask("blue.png", "blue", "blue")
    words = ("-s", "one.png", "-s", "two.png", "--style-mask", "red.png")
    assert stylize(*words, "--style-mask", "blue.png", "--mask", "both.png") == 0
    made = Path("stylized/a.png")
    capsys.readouterr()
    assert run(["recipe", str(made)]) == 0
    words = shlex.split(capsys.readouterr().out)
    assert run([*words[1:], "--out", "again"]) == 0
    assert Path("again/a.png").read_bytes() == made.read_bytes()


def test_the_content_may_count_in_one_place_alone(capsys):
    mask("white.png", "white", "black")
    assert stylize("-s", "one.png", "--content-mask", "white.png") == 0
    assert stylize("-s", "one.png", out="plain") == 0
    assert Path("stylized/a.png").read_bytes() != Path("plain/a.png").read_bytes()


def test_a_region_that_the_style_lacks_fails_with_each_photo(capsys):
    mask("red.png", "red", "red")
    assert stylize("-s", "one.png", "--mask", "both.png", "--style-mask", "red.png") == 1
    assert capsys.readouterr().err.count("lacks the region 0000ff") == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-s", "two.png", "--style-mask", "both.png"), "there are 2 styles and 1 mask"),
        (("--style-mask", "none.png"), "The mask of the style cannot be used"),
    ],
)
def test_wrong_usage_is_found_before_the_first_step(capsys, words, message):
    assert stylize("-s", "one.png", *words) == 2
    assert message in capsys.readouterr().err


def test_masks_are_found_by_name():
    assert mask_of(Path("x/a.jpg"), Path("both.png")) == Path("both.png")
    assert mask_of(Path("x/a.jpg"), Path("masks")) == Path("masks/a.png")
    assert mask_of(Path("x/c.jpg"), Path("masks")) == Path("masks/c.png")  # which is missing
    styles = [Path("a.jpg"), Path("c.jpg")]
    assert masks_of_styles(styles, []) == [None, None]
    assert masks_of_styles(styles, [Path("masks")]) == [Path("masks/a.png"), Path("masks/c.png")]
    assert masks_of_styles(styles, [Path("m.png"), Path("n.png")]) == [Path("m.png"), Path("n.png")]
    with pytest.raises(UsageError, match="there are 2 styles and 3 masks"):
        masks_of_styles(styles, [Path("m.png")] * 3)
