"""How pictures of a batch are written: no network is needed for that."""

import json
import shutil
import tomllib
from pathlib import Path

import cv2
import exifread
import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

from nstbatch.cli.jobs.invocation import Invocation
from nstbatch.cli.jobs.painting import Painting
from nstbatch.cli.jobs.plan import Job
from nstbatch.cli.main import app
from nstbatch.cli.main import run as program
from nstbatch.cli.options.writing import PhotoWriting
from nstbatch.cli.output.picture_writer import PictureWriter
from nstbatch.cli.parsing.parameters import parameters
from nstbatch.cli.verbs.carry_out import Work, carry_out
from nstbatch.cli.verbs.prepare import BatchOptions, find_photos
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.formats.metadata import read_recipe
from nstbatch.runtime.formats.picture_options import PictureOptions
from nstbatch.runtime.pictures import images

STYLIZE = get_command(app).commands["stylize"]

GREY = np.full((6, 8, 3), 0.5, np.float32)
PAINTING = Painting(GREY, None, {"total": 2.5}, 7, "cpu", "fp32")
HOSTILE = ("<img src=x onerror=alert(1)>.jpg", "new\nline.jpg", "\x1b[2Jscreen.jpg", "-rf.jpg")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    Path("photos").mkdir()
    images.write("style.png", GREY)
    return tmp_path


def invocation(**settings) -> Invocation:
    known = tuple(parameters(STYLIZE))
    values = {parameter.name: parameter.default for parameter in known}
    values |= {"style": "style.png", "seed": 7} | settings
    inputs = {"inputs": values.pop("inputs")}
    return Invocation("stylize", values, arguments=inputs, parameters=known)


def write(photo: str, output: str, options: PictureOptions | None = None, **settings) -> str:
    """Write a picture as a batch does, and return its recipe."""
    options = options or PictureOptions()
    networks = [Bundle.load(settings.get("model", "vgg16"))]
    writer = PictureWriter(options, invocation(inputs=["photos"], **settings), networks)
    Path(output).write_bytes(writer.encode(Job(Path(photo), Path(output)), PAINTING).data)
    recipe = read_recipe(output)
    assert recipe is not None
    return recipe


def photo(name: str, **options) -> str:
    path = Path("photos", name)
    Image.fromarray((GREY * 255).astype(np.uint8)).save(path, **options)
    return str(path)


# --- The recipe -------------------------------------------------------------------------------


def test_the_recipe_says_all_that_made_the_picture(capsys):
    recipe = json.loads(write(photo("a.jpg"), "a.png", size=64, model="squeezenet1_1"))
    assert recipe["settings"]["inputs"] == [str(Path("photos/a.jpg"))]
    assert (recipe["settings"]["seed"], recipe["settings"]["size"]) == (7, 64)
    assert (recipe["provider"], recipe["precision"]) == ("cpu", "fp32")
    assert recipe["settings"]["device"] == "cpu"  # and not auto
    assert set(recipe["sha256"]) == {str(Path("photos/a.jpg")), "style.png"}
    assert recipe["bundle"]["name"] == "squeezenet1_1"
    assert all(
        len(value) == 64 for value in [*recipe["sha256"].values(), recipe["bundle"]["sha256"]]
    )
    assert {"nstbatch", "onnxruntime"} <= set(recipe["versions"])


def test_a_setting_may_be_longer_than_a_name_of_a_file():
    layers = ",".join(f"relu{number}_1=0.5" for number in range(40))
    assert layers in write(photo("a.png"), "a.png", style_layers=layers)


def test_the_recipe_does_not_say_where_the_picture_went_or_when():
    one = write(photo("a.jpg"), "a.png", out="one", quiet=True, overwrite=True)
    assert write("photos/a.jpg", "b.png", out="two", fail_fast=True) == one
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


def test_the_command_that_is_printed_is_the_recipe_s(capsys):
    write(photo("a.jpg"), "a.png", size=64)
    assert program(["recipe", "a.png"]) == 0
    assert capsys.readouterr().out == (
        "nstbatch stylize --style style.png --no-defaults --size 64 --seed 7 "
        "--device cpu --precision fp32 "
        f"{Path('photos/a.jpg')}\n"
    )


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif"])
@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_is_text_and_the_command_finds_the_file(name, suffix, capsys, folder):
    write(photo(name), f"a{suffix}")
    assert program(["recipe", f"a{suffix}"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert len(out.splitlines()) == 1
    assert out.strip().isprintable()
    assert shell_words(out)[-1] == str(Path("photos", name))
    assert program(["recipe", f"a{suffix}", "--json"]) == 0
    out = capsys.readouterr().out
    assert out.replace("\n", "").isprintable()
    assert json.loads(out)["settings"]["inputs"] == [str(Path("photos", name))]


def shell_words(line: str) -> list[str]:
    """What a shell makes of a line: every word behind ``--`` and a zero byte."""
    import subprocess

    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("There is no bash here.")
    script = f"nstbatch() {{ printf '%s\\0' \"$@\"; }}; {line}"
    found = subprocess.run([bash, "-c", script], check=True, capture_output=True)
    return found.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]


def test_the_name_of_the_user_is_not_told(folder, capsys):
    there = folder / "home" / "me & you" / "a.jpg"
    there.parent.mkdir(parents=True)
    shutil.copy(photo("a.jpg"), there)
    recipe = write(str(there), "a.png")
    assert str(folder) not in recipe
    assert json.loads(recipe)["settings"]["inputs"] == ["~/me & you/a.jpg"]
    program(["recipe", "a.png"])
    assert str(there) in capsys.readouterr().out


def test_a_recipe_of_another_version_says_so(capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("nstbatch.__version__", "0.0.7")
        write(photo("a.jpg"), "a.png")
    program(["recipe", "a.png"])
    assert "made by version 0.0.7" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("{", "damaged"),
        ("[1]", "damaged: it is not a JSON object"),
        ("[" * 100_000, "damaged"),
        ("{}", "a command that this version lacks"),
        (
            '{"verb": "export", "settings": {"source": "evil.py:f"}}',
            "command that this version lacks",
        ),
        ('{"verb": "stylize", "settings": {"size": {"a": 1}}}', "command that this version lacks"),
        ('{"verb": ["stylize"], "settings": {}}', "command that this version lacks"),
    ],
)
def test_a_recipe_that_is_none(capsys, recipe, message):
    from nstbatch.runtime.formats.metadata import Metadata

    images.write("a.png", GREY, metadata=Metadata(recipe=recipe))
    assert program(["recipe", "a.png"]) == 1
    assert message in capsys.readouterr().err


def test_a_recipe_of_a_stranger_does_not_say_where_to_write(capsys):
    from nstbatch.runtime.formats.metadata import Metadata

    settings = {"inputs": ["a.jpg"], "style": "s.png", "out": "/home", "overwrite": True, "new": 1}
    recipe = json.dumps({"verb": "stylize", "settings": settings})
    images.write("a.png", GREY, metadata=Metadata(recipe=recipe))
    assert program(["recipe", "a.png"]) == 0
    out, err = capsys.readouterr()
    assert out == "nstbatch stylize --style s.png --no-defaults a.jpg\n"
    assert "Left out new, out, overwrite: no such option shapes a picture here" in err


def test_pictures_without_a_recipe(capsys):
    assert program(["recipe", photo("a.jpg")]) == 1
    assert "contains no recipe" in capsys.readouterr().err
    assert program(["recipe", "missing.png"]) == 1
    assert "missing.png: The file cannot be read" in capsys.readouterr().err


# --- What is taken over -----------------------------------------------------------------------


def test_a_picture_is_written_though_its_photo_is_gone(caplog):
    recipe = json.loads(write("photos/gone.jpg", "a.jpg"))
    assert "No metadata is kept from" in caplog.text
    assert list(recipe["sha256"]) == ["style.png"]


def test_strip_leaves_pixels_and_bits():
    cv2.imwrite("photos/deep.png", np.full((6, 8, 3), 40_000, np.uint16))
    options = PhotoWriting(strip=True).pictures
    writer = PictureWriter(options, invocation())
    file = writer.encode(Job(Path("photos/deep.png"), Path("a.png")), PAINTING)
    Path("a.png").write_bytes(file.data)
    assert read_recipe("a.png") is None
    assert cv2.imread("a.png", cv2.IMREAD_UNCHANGED).dtype == np.uint16
    with Image.open("a.png") as image:
        assert not image.info


def test_preserve_and_strip_exclude_each_other():
    with pytest.raises(UsageError, match="exclude each other"):
        _ = PhotoWriting(preserve=True, strip=True).pictures
    with pytest.raises(UsageError, match=r"Unknown format 'jpeg'\. Did you mean 'jpg'"):
        _ = PhotoWriting("jpeg").pictures
    with pytest.raises(UsageError, match="from 1 to 100, not 0"):
        _ = PhotoWriting(quality=0).pictures


# --- A batch ----------------------------------------------------------------------------------


def batch(run: Invocation | None = None, **changes) -> BatchOptions:
    return BatchOptions(
        *(Path("out"), False, False, False, False, False, True),
        invocation=run or Invocation(),
        pictures=PictureOptions(**changes),
    )


def paint(job, progress, stop) -> Painting:
    return PAINTING


def test_a_batch_in_another_format_under_other_names():
    photo("a.jpg")
    photo("b.png")
    options = batch(invocation(), format="tiff", name="{stem}-{style}-{seed}")
    plan = find_photos([Path("photos")], options, suffix=".png")
    assert carry_out(Work(plan, paint), options) == 0
    written = sorted(path.name for path in Path("out").iterdir())
    assert written == ["a-style-7.tif", "b-style-7.tif", "nstbatch.jsonl", "nstbatch.toml"]


def test_the_settings_are_saved_beside_the_pictures():
    photo("a.jpg")
    options = batch(invocation(inputs=["photos"], out="out"))
    carry_out(Work(find_photos([Path("photos")], options), paint), options)
    saved = tomllib.loads(Path("out/nstbatch.toml").read_text(encoding="utf-8"))
    assert (saved["inputs"], saved["style"], saved["seed"]) == (["../photos"], "../style.png", 7)


def test_quality_reaches_the_file():
    photo("a.jpg")
    sizes = []
    for quality in (10, 95):
        options = batch(quality=quality)
        plan = find_photos([Path("photos")], options)
        noise = np.random.default_rng(0).random((60, 80, 3), dtype=np.float32)
        painting = Painting(noise, None, {}, 1, "cpu", "fp32")
        carry_out(Work(plan, lambda *_, painting=painting: painting), options)
        sizes.append(Path("out/a.jpg").stat().st_size)
        Path("out/a.jpg").unlink()
    assert sizes[0] < sizes[1] / 2


def test_the_date_of_a_photo_is_in_its_picture():
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    photo("a.jpg", exif=exif)
    carry_out(Work(find_photos([Path("photos")], batch()), paint), batch())
    with Path("out/a.jpg").open("rb") as file:
        found = exifread.process_file(file)
    assert str(found["EXIF DateTimeOriginal"]) == "2024:05:06 07:08:09"
