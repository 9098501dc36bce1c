"""``nstbatch stylize`` with several styles, blended or one by one: tiny pictures, two steps."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nstbatch.cli.main import run
from nstbatch.cli.output.style_sheet import NAME as SHEET
from nstbatch.runtime.systems.style_transfer import StyleTransfer

QUICK = ("--size", "64", "--iterations", "2", "--scales", "1", "--device", "cpu")
WORDS = ("photos", "--model", "alexnet", *QUICK)
STYLES = ("styles/one.png", "styles/two.png")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NSTBATCH_HOME", str(tmp_path / "home"))
    for seed, name in enumerate(("photos/a.png", "photos/b.png", *STYLES)):
        Path(name).parent.mkdir(exist_ok=True)
        colours = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(colours).resize((80, 60), Image.Resampling.BICUBIC).save(name)
    return tmp_path


def stylize(*words: str, out: str = "stylized") -> int:
    return run(["stylize", *WORDS, "--out", out, *words])


def bytes_in(out: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(out).iterdir() if path.suffix == ".png"}


def test_a_blend_is_another_picture_by_its_weights_and_a_folder_is_its_pictures(capsys):
    one, two = STYLES
    assert stylize("-s", one, "-s", two, out="both") == 0
    assert stylize("-s", one, "-s", f"{two}=3", out="more") == 0
    assert stylize("-s", "styles", out="folder") == 0
    assert stylize("-s", f"{one}=7", out="one") == stylize("-s", one, out="plain") == 0
    pixels = {
        out: Image.open(Path(out, "a.png")).tobytes()
        for out in ("both", "more", "folder", "one", "plain")
    }
    assert pixels["both"] == pixels["folder"]
    assert pixels["one"] == pixels["plain"]  # one style has no other to be weighed against
    assert len(set(pixels.values())) == 3


def test_a_recipe_has_the_weights_and_the_settings_too(capsys):
    assert stylize("-s", STYLES[0], "-s", f"{STYLES[1]}=2.5", "--name", "{stem}-{style}") == 0
    made = Path("stylized/a-one+two.png")
    capsys.readouterr()
    assert run(["recipe", str(made)]) == 0
    words = shlex.split(capsys.readouterr().out)
    assert run([*words[1:], "--out", "again"]) == 0
    assert Path("again", made.name).read_bytes() == made.read_bytes()
    before = made.read_bytes()
    made.unlink()
    assert run(["stylize", "--config", "stylized/nstbatch.toml"]) == 0
    assert made.read_bytes() == before


def test_a_blend_whose_weights_change_is_another_picture_and_one_that_does_not_is_there(capsys):
    words = ("-s", STYLES[0], "-s", f"{STYLES[1]}=2")
    assert stylize(*words) == 0
    assert stylize(*words) == 0
    assert "2 already there" in capsys.readouterr().err
    assert stylize("-s", STYLES[0], "-s", f"{STYLES[1]}=3") == 2


def test_each_style_is_killed_and_resumed_to_the_same_bytes(monkeypatch, capsys):
    Path("styles/broken.png").write_bytes(Path(STYLES[0]).read_bytes()[:500])
    words = ("-s", "styles", "--each-style")
    assert stylize(*words, out="whole") == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 4
    assert err.count("broken.png cannot be the style") == 2
    assert set(bytes_in("whole")) == {f"{n}-{s}.png" for n in "ab" for s in ("one", "two")}
    painted, calls = StyleTransfer.__call__, []

    def killed(self, *arguments, **others):
        calls.append(arguments)
        if len(calls) == 3:  # those of the broken style come to nothing before
            raise KeyboardInterrupt
        return painted(self, *arguments, **others)

    with monkeypatch.context() as patch:
        patch.setattr(StyleTransfer, "__call__", killed)
        assert stylize(*words) == 130
    assert not Path("stylized", SHEET).exists()
    assert 0 < len(bytes_in("stylized")) < 4
    assert stylize(*words) == 1
    assert bytes_in("stylized") == bytes_in("whole")
    assert Path("stylized", SHEET).read_bytes() == Path("whole", SHEET).read_bytes()


def test_each_picture_is_that_of_its_style_alone(capsys):
    assert stylize("-s", "styles", "--each-style") == 0
    assert stylize("-s", STYLES[1], "--name", "{stem}-{style}", out="alone") == 0
    crossed = Path("stylized/a-two.png")
    assert Image.open(crossed).tobytes() == Image.open("alone/a-two.png").tobytes()
    capsys.readouterr()
    assert run(["recipe", str(crossed)]) == 0
    recipe = capsys.readouterr().out
    assert "--style styles/two.png" in recipe
    assert "--each-style" not in recipe
    # Another style beside them leaves those that are there alone.
    Image.open(STYLES[0]).rotate(90).save("styles/three.png")
    assert stylize("-s", "styles", "--each-style") == 0
    assert "2 pictures done, 4 already there" in capsys.readouterr().err


def test_a_style_that_was_mended_is_retried_and_put_on_the_sheet(capsys):
    whole = Path(STYLES[1]).read_bytes()
    assert stylize("-s", "styles", "--each-style", out="whole") == 0
    Path(STYLES[1]).write_bytes(whole[:500])
    assert stylize("-s", "styles", "--each-style") == 1
    before = Path("stylized", SHEET).read_bytes()
    Path(STYLES[1]).write_bytes(whole)
    assert run(["retry", "stylized"]) == 0
    assert bytes_in("stylized") == bytes_in("whole")
    assert Path("stylized", SHEET).read_bytes() == Path("whole", SHEET).read_bytes() != before


def test_a_style_of_a_blend_that_has_changed_is_not_retried(capsys):
    Path("photos/b.png").write_bytes(b"")
    assert stylize("-s", STYLES[0], "-s", f"{STYLES[1]}=2") == 1
    Image.new("RGB", (64, 64)).save("photos/b.png")
    assert run(["retry", "stylized"]) == 0
    Path("photos/b.png").write_bytes(b"")
    assert stylize("-s", STYLES[0], "-s", f"{STYLES[1]}=2", out="more") == 1
    Image.new("RGB", (64, 64)).save(STYLES[1])
    assert run(["retry", "more"]) == 1
    assert "the file given as --style has changed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-s", STYLES[0], "-s", f"{STYLES[1]}=2", "--each-style"), "they take no weights"),
        (("-s", "missing.png", "-s", STYLES[0]), "missing.png cannot be the style"),
        (("-s", f"{STYLES[0]}=0"), "must be above 0"),
        (("-s", "styles", "--each-style", "--name", "{stem}"), "needs the field {style}"),
        (("-s", STYLES[0], "--style-size", "64", "--style-scale", "2"), "not both"),
        (("-s", STYLES[0], "--style-scale", "0"), "style_scale must be a number above 0"),
    ],
)
def test_wrong_usage_is_found_before_the_first_step(capsys, words, message):
    assert stylize(*words) == 2
    assert message in capsys.readouterr().err
    assert not Path("stylized").exists()


def test_each_style_makes_no_single_file(capsys):
    assert run(["stylize", "photos/a.png", "-s", STYLES[0], "--each-style", "-o", "a.png"]) == 2
    assert "does not go with the one picture" in capsys.readouterr().err
