"""The command end to end: tiny pictures, two steps, and AlexNet where any network will do."""

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from nstbatch.cli.main import run
from nstbatch.runtime.descent.checkpoints import CheckpointFile
from nstbatch.runtime.devices import processor
from nstbatch.runtime.pictures import images, sizes

QUICK = ("--size", "64", "--iterations", "2", "--scales", "1", "--device", "cpu")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NSTBATCH_HOME", str(tmp_path / "home"))
    Path("photos").mkdir()
    save("style.jpg", (96, 80))
    return tmp_path


def picture(size: tuple[int, int], mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Smooth colours: a few random ones, enlarged."""
    colours = np.random.default_rng(seed).integers(0, 256, (4, 5, len(mode)), dtype=np.uint8)
    return Image.fromarray(colours.squeeze()).resize(size, Image.Resampling.BICUBIC)


def save(path: str, size: tuple[int, int] = (80, 60), **options) -> None:
    picture(size).save(path, **options)


def stylize(*arguments: str) -> int:
    return run(["stylize", "--style", "style.jpg", "--model", "alexnet", *QUICK, *arguments])


def records(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def pictures(out: str = "stylized") -> list[str]:
    own = {"nstbatch.jsonl", "nstbatch.toml"}
    found = (path for path in Path(out).rglob("*.*") if path.name not in own)
    return sorted(path.relative_to(out).as_posix() for path in found)


# ---- good photos ------------------------------------------------------------------------------


def test_a_folder_becomes_pictures_and_again_nothing(capsys):
    save("photos/a.jpg")
    save("photos/b.png")
    words = ["stylize", "photos", "--style", "style.jpg", *QUICK, "-n", "20"]
    assert run(words) == 0
    assert sorted(capsys.readouterr().out.split()) == [
        str(Path("stylized/a.jpg")),
        str(Path("stylized/b.png")),
    ]
    painted = images.read("stylized/b.png").pixels
    assert painted.shape == (48, 64, 3)
    photo = sizes.resize(images.read("photos/b.png").pixels, (48, 64))
    assert 0.005 < np.abs(painted - photo).mean() < 0.3
    before = Path("stylized/b.png").stat().st_mtime_ns
    assert run(words) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "2 already there" in err
    assert Path("stylized/b.png").stat().st_mtime_ns == before


def test_the_tree_is_mirrored_under_out():
    for name in ("a.jpg", "May/a.jpg", "May/.hidden.jpg"):
        Path("photos", name).parent.mkdir(exist_ok=True)
        save(f"photos/{name}")
    assert stylize("photos", "-r", "-o", "new/out") == 0
    assert pictures("new/out") == ["May/a.jpg", "a.jpg"]


def test_two_runs_give_identical_bytes(capsys):
    save("photos/a.png")
    options = ("photos", "--init", "noise", "--seed", "7")
    assert stylize(*options, "-o", "one") == stylize(*options, "-o", "two") == 0
    assert stylize("photos", "--init", "noise", "--seed", "8", "-o", "three") == 0
    one, two, three = (Path(out, "a.png").read_bytes() for out in ("one", "two", "three"))
    assert one == two != three


def test_a_painting_that_was_killed_goes_on_in_the_middle_to_the_same_bytes(monkeypatch, capsys):
    save("photos/a.png")
    words = ("photos", "-n", "6", "--snapshots", "4")
    assert stylize(*words, "-o", "whole") == 0
    kept = []

    class Always(CheckpointFile):
        """A checkpoint after every step, and the end after the third one."""

        def __init__(self, path, *identity):
            super().__init__(path, *identity, every=0)

        def keep(self, checkpoint):
            super().keep(checkpoint)
            kept.append((checkpoint().level, checkpoint().steps))
            if len(kept) == 4:
                raise KeyboardInterrupt

    monkeypatch.setattr("nstbatch.runtime.systems.system.CheckpointFile", Always)
    assert stylize(*words) == 130
    assert not Path("stylized/a.png").exists()
    (checkpoint,) = Path("stylized/.nstbatch").glob("*.npz")
    assert stylize(*words) == 0
    assert kept[4] == kept[3]  # where it was, not from the beginning
    snapshots = [f"a.png.snapshots/00000{number}.png" for number in (1, 2, 3, 4)]
    for name in ("a.png", *snapshots):
        assert Path("stylized", name).read_bytes() == Path("whole", name).read_bytes()
    assert len(list(Path("stylized/a.png.snapshots").glob("[!.]*"))) == 4
    assert not checkpoint.parent.exists()


def test_photos_of_one_shape_are_stepped_together_and_become_what_they_become_alone(capsys):
    for n, size in enumerate([(80, 60), (80, 60), (80, 60), (60, 80)]):
        picture(size, seed=n).save(f"photos/{n}.png")
    options = ("photos", "-n", "6", "--optimizer", "adam")
    assert stylize(*options, "-o", "alone") == 0
    assert stylize(*options, "-o", "together", "--batch", "3") == 0
    assert pictures("together") == pictures("alone")
    for name in pictures("alone"):
        ours, alone = (images.read(Path(out, name)).pixels for out in ("together", "alone"))
        assert abs(ours - alone).max() <= 2 / 255  # another batch rounds differently
    capsys.readouterr()
    assert stylize(*options, "-o", "together") == 0  # nothing is made anew
    assert "4 already there" in capsys.readouterr().err


def test_a_size_ends_where_its_loss_stalls(capsys):
    save("photos/a.png")
    arguments = ("photos", "-n", "120", "--scales", "2", "--optimizer", "adam", "--json")
    arguments += ("--model", "vgg16")
    assert stylize(*arguments, "--tolerance", "0.9") == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 40  # 20 at each scale
    assert stylize(*arguments, "-o", "whole", "-n", "42") == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 42


def test_every_kind_of_picture_works():
    kinds = {
        "grey.png": picture((80, 60), "L"),
        "alpha.png": picture((80, 60), "RGBA"),
        "ink.jpg": picture((80, 60)).convert("CMYK"),
        "with space.webp": picture((80, 60)),
        "東京.tif": picture((80, 60)),
        "ελιά.avif": picture((80, 60)),
        "moving.gif": picture((80, 60)),
    }
    for name, kind in kinds.items():
        kind.save(Path("photos", name))
    deep = np.linspace(0, 65535, 80 * 60).reshape(60, 80).astype(np.uint16)
    Image.fromarray(deep).save("photos/deep.png")
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: a quarter turn
    save("photos/turned.jpg", exif=turned)
    assert stylize("photos") == 0
    assert len(pictures()) == len(kinds) + 2
    assert "moving.png" in pictures()
    assert images.read("stylized/alpha.png").alpha is not None
    assert images.read("stylized/turned.jpg").pixels.shape == (64, 48, 3)


# ---- options ----------------------------------------------------------------------------------


def test_a_json_line_for_every_photo(capsys):
    save("photos/a.png")
    Path("photos/b.png").touch()
    assert stylize("photos", "--json") == 1
    done, failed = sorted(records(capsys), key=lambda record: record["input"])
    assert (done["status"], done["steps"], done["provider"], done["precision"]) == (
        "done",
        2,
        "cpu",
        "fp32",
    )
    assert done["losses"]["total"] > 0
    assert done["seconds"] > 0
    assert (failed["status"], failed["reason"]) == ("failed", "The file is empty (0 bytes).")


def test_layers_and_weights_reach_the_objective(capsys):
    save("photos/a.png")
    assert (
        stylize(
            *("photos", "--json", "--tv-weight", "0"),
            *("--style-layers", "relu1=2,relu2", "--content-layers", "relu3"),
        )
        == 0
    )
    losses = records(capsys)[0]["losses"]
    assert len(losses) == 4  # two style layers, a content layer, the total
    assert losses["total"] == pytest.approx(sum(losses.values()) / 2, rel=1e-5)
    assert all(any(name in term for term in losses) for name in ("relu1", "relu2", "relu3"))


@pytest.mark.parametrize(
    "options",
    [
        ("--init", "style.jpg"),
        ("--init", "photo"),
        ("--error", "mse"),
        ("--init", "noise"),
        ("--optimizer", "adam"),
        ("--learning-rate", "0.5"),
        ("--content-weight", "0"),
        ("--style-weight", "1e6"),
        ("--tv-weight", "1e5"),
        ("--color", "luminance"),
        ("--init-noise", "0.5"),
        ("--init", "noise", "--noise", "pink"),
        ("--histogram",),
        ("--sharpen", "0.5"),
        ("--average-decay", "0.5"),
        ("--padding", "replicate"),
        ("--style-loss", "moments"),
        ("--style-loss", "wasserstein"),
        ("--style-scale", "0.5"),
        ("--style-size", "40"),
        ("--pooling", "avg"),
        ("--model", "squeezenet1_1"),
        ("--iterations", "3"),
    ],
)
def test_every_option_changes_the_picture(options):
    save("photos/a.png")
    assert stylize("photos", "-o", "plain") == 0
    assert stylize("photos", "-o", "changed", *options) == 0
    assert Path("plain/a.png").read_bytes() != Path("changed/a.png").read_bytes()


def test_a_plain_frame_is_cut_off_the_style(capsys):
    """And said, but not with --quiet; a style without a frame is not touched."""
    save("photos/a.png")
    style = picture((96, 80))
    framed = Image.new("RGB", (112, 96))  # black
    framed.paste(style, (8, 8))
    framed.save("framed.png")
    style.crop((2, 2, 94, 78)).save("bare.png")
    said = []
    for name, options in {
        "trimmed": ("-s", "framed.png"),
        "quiet": ("-s", "framed.png", "--quiet"),
        "kept": ("-s", "framed.png", "--trim-style", "off"),
        "bare": ("-s", "bare.png"),
    }.items():
        assert stylize("photos", "-o", name, "--strip", *options) == 0
        said.append(capsys.readouterr().err.count("A plain frame was cut off framed.png: 10."))
    made = [Path(name, "a.png").read_bytes() for name in ("trimmed", "quiet", "kept", "bare")]
    assert made[0] == made[1] == made[3] != made[2]
    assert said == [1, 0, 0, 0]


def test_a_picture_of_a_preset_can_be_made_again_from_its_recipe(capsys):
    """The recipe has the options, and not the name: a preset may change."""
    save("photos/a.png")
    assert stylize("photos", "--preset", "gatys") == 0
    capsys.readouterr()
    assert run(["recipe", "stylized/a.png"]) == 0
    words = shlex.split(capsys.readouterr().out)
    assert "--preset" not in words
    assert words[words.index("--error") + 1] == "mse"
    assert run([*words[1:], "-o", "again"]) == 0
    assert Path("again/a.png").read_bytes() == Path("stylized/a.png").read_bytes()


def test_size_and_scales(capsys):
    save("photos/a.png", (160, 120))
    assert stylize("photos", "--size", "100", "--scales", "3", "--iterations", "3", "-v") == 0
    assert images.read("stylized/a.png").pixels.shape == (75, 100, 3)
    scales = [line for line in capsys.readouterr().err.splitlines() if ": scale " in line]
    assert [line.split(",")[0] for line in scales] == [
        f"photos/a.png: scale {scale}/3" for scale in (1, 2, 3)
    ]


def test_photos_keep_their_own_sizes_and_are_not_enlarged_unasked(capsys):
    shapes = {"small": (40, 50), "wide": (60, 90), "tall": (90, 60)}
    for name, (height, width) in shapes.items():
        save(f"photos/{name}.png", (width, height))
    free = [word for word in QUICK if word not in ("--size", "64")]

    def painted(out: str, *options: str) -> dict[str, tuple[int, ...]]:
        words = ("stylize", "photos", "--style", "style.jpg", "-o", out, *free, *options)
        assert run([*words, "--dry-run"]) == 0
        assert run(words) == 0
        assert run(words) == 0  # all are there
        return {name: images.read(f"{out}/{name}.png").pixels.shape[:2] for name in shapes}

    assert painted("own", "--size", "own", "--batch", "2") == shapes
    bounded = {**shapes, "wide": (43, 64), "tall": (64, 43)}
    assert painted("bounded", "--max-size", "64") == bounded
    settings = Path("bounded/nstbatch.toml").read_text(encoding="utf-8")
    assert 'size = "own"\nmax_size = 64\n' in settings
    again = ("stylize", "--config", "bounded/nstbatch.toml", "--json", "-o", "bounded")
    assert run(["stylize", "--config", "bounded/nstbatch.toml", "-o", "again"]) == 0
    assert Path("again/wide.png").read_bytes() == Path("bounded/wide.png").read_bytes()
    capsys.readouterr()
    assert run(again) == 0
    assert {record["status"] for record in records(capsys)} == {"skipped"}
    # With a number for --size, the bound only keeps from enlarging and from more pixels.
    both = painted("both", "--size", "60", "--max-size", "64", "--name", "{stem}")
    assert both == {"small": (40, 50), "wide": (40, 60), "tall": (60, 40)}


def test_a_name_may_have_the_word_for_the_size():
    save("photos/a.png", (50, 40))
    assert stylize("photos", "--size", "own", "--name", "{stem}-{size}") == 0
    assert pictures() == ["a-own.png"]


@pytest.mark.parametrize("size", ["big", "", "OWN", "64.5", "0", "-1"])
def test_what_is_no_size_is_refused_in_a_sentence(size, capsys):
    save("photos/a.png")
    assert stylize("photos", "--size", size) == 2
    assert "'own'" in capsys.readouterr().err


def test_a_dry_run_paints_nothing(capsys):
    save("photos/a.png")
    assert stylize("photos", "--dry-run") == 0
    assert not Path("stylized").exists()
    assert "a.png -> " in capsys.readouterr().out


# ---- what is written --------------------------------------------------------------------------


def test_the_recipe_of_a_picture_makes_it_again(capsys):
    save("photos/<img src=x onerror=alert(1)>.jpg")
    assert stylize("photos", "--init", "noise", "--seed", "7", "--format", "png") == 0
    made = Path("stylized", "<img src=x onerror=alert(1)>.png")
    capsys.readouterr()
    assert run(["recipe", str(made)]) == 0
    program, *words = shlex.split(capsys.readouterr().out)
    assert program == "nstbatch"
    assert run([*words, "--out", "again"]) == 0
    assert Path("again", made.name).read_bytes() == made.read_bytes()


def test_the_settings_that_a_batch_leaves_make_it_again():
    save("photos/a.png")
    assert stylize("photos", "--seed", "7", "--init", "noise", "--name", "{stem}-{style}") == 0
    made = Path("stylized/a-style.png")
    before = made.read_bytes()
    made.unlink()
    assert run(["stylize", "--config", "stylized/nstbatch.toml"]) == 0
    assert made.read_bytes() == before


def test_16_bits_and_the_date_stay(tmp_path):
    deep = np.linspace(0, 65535, 80 * 60 * 3).reshape(60, 80, 3).astype(np.uint16)
    cv2.imwrite("photos/deep.png", deep)
    exif = Image.Exif()
    exif[0x0132] = "2024:05:06 07:08:09"
    save("photos/dated.jpg", exif=exif)
    assert stylize("photos", "--format", "tiff") == 0
    painted = cv2.imread("stylized/deep.tif", cv2.IMREAD_UNCHANGED)
    assert painted.dtype == np.uint16
    assert (painted % 257 != 0).any()  # more than 8 bits made wider
    with Image.open("stylized/dated.tif") as image:
        assert image.getexif()[0x0132] == "2024:05:06 07:08:09"
        assert image.info["icc_profile"]


# ---- bad photos -------------------------------------------------------------------------------


def test_a_folder_full_of_bad_files_beside_three_good_ones(write_bad_inputs, capsys):
    reasons = write_bad_inputs(Path("photos"))
    for name in ("good 1.jpg", "good 2.png", "good 3.webp"):
        save(f"photos/{name}")
    assert stylize("photos") == 1
    out, err = capsys.readouterr()
    assert pictures() == ["good 1.jpg", "good 2.png", "good 3.webp"]
    assert sorted(Path(line).name for line in out.splitlines()) == pictures()
    failures = [line for line in err.splitlines() if "] failed photos" in line]
    assert len(failures) == len(reasons)
    for name, reason in reasons.items():
        assert any(name in line and reason in line for line in failures), (name, reason)
    assert "Traceback" not in err


def test_fail_fast_stops_at_the_first(capsys):
    Path("photos/a.png").touch()
    save("photos/b.png")
    assert stylize("photos", "--fail-fast") == 1
    assert pictures() == []
    assert "1 not tried" in capsys.readouterr().err


# ---- wrong usage ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--style", "gone.jpg"), "gone.jpg cannot be the style: "),
        (("--style", "empty.jpg"), "empty.jpg cannot be the style: The file is empty"),
        (("--init", "gone.jpg"), "gone.jpg cannot be the --init image: "),
        (("--model", "vgg61"), "Did you mean 'vgg16'"),
        (("--model", "no/such/folder"), "There is no bundle at"),
        (("--style-layers", "relu9_9"), "relu1_1, "),
        (("--content-layers", "relu9_9"), "relu1_1, "),
        (("--device", "gpu"), "auto, cpu, openvino, cuda, tensorrt, tensorrt-rtx"),
        (("--device", "cpu", "--precision", "fp16"), "'cpu' computes in fp32 here"),
        (("--optimizer", "sgd"), "adam, lbfgs"),
        (("--pooling", "min"), "avg, max"),
        (("--trim-style", "on"), "auto, off"),
        (("--size", "0"), "size must be"),
        (("--iterations", "many"), "valid int"),
        (("--out", "style.jpg"), "style.jpg would overwrite an input file"),
        (("--out", "photos"), "would overwrite"),
        (("gone.jpg",), "There is no file or folder gone.jpg"),
    ],
)
def test_wrong_usage_is_found_before_the_first_step(capsys, options, message):
    save("photos/a.png")
    Path("empty.jpg").touch()
    assert run(["stylize", "photos", "--style", "style.jpg", *QUICK, *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    assert not Path("stylized").exists()


@pytest.fixture
def no_gpu(monkeypatch):
    from nstbatch.runtime.devices import devices

    def refuse(name):
        raise OSError(name)

    monkeypatch.setattr(devices.ctypes, "CDLL", refuse)


def test_a_gpu_that_is_not_there_is_wrong_usage(no_gpu, capsys):
    save("photos/a.png")
    assert stylize("photos", "--device", "cuda") == 2
    err = capsys.readouterr().err
    assert "no NVIDIA driver was found" in err
    assert "pip install" in err
    assert not Path("stylized").exists()


def test_an_empty_folder_is_exit_code_3(capsys):
    assert stylize("photos") == 3
    assert "No photo was found in photos" in capsys.readouterr().err
    assert not Path("stylized").exists()


def test_a_name_that_becomes_too_long_does_not_end_the_batch(capsys):
    long = "b" * 251 + ".png"
    for name in ("a.jpg", long, "c.jpg"):
        save(f"photos/{name}")
    for options in (("--dry-run",), ()):
        assert stylize("photos", "--format", "webp", *options) == 1
        out, err = capsys.readouterr()
        assert "would have 256 bytes, and 255 is the limit" in out + err
    assert pictures() == ["a.webp", "c.webp"]


# ---- interruption -----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing_half_written(number):
    save("photos/a.png")
    save("photos/b.png")
    command = [sys.executable, "-m", "nstbatch", "stylize", "photos", "-s", "style.jpg", *QUICK]
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
        out, err = program.communicate(timeout=60)
    assert program.returncode == 130
    assert out == ""
    assert "interrupted: 0 pictures done, 2 not tried" in err
    assert "Traceback" not in err
    assert "to go on: nstbatch stylize photos -s style.jpg" in err
    left = sorted(path.name for path in Path("stylized").iterdir())
    assert left == ["nstbatch.jsonl", "nstbatch.toml"]


def test_a_style_too_small_for_the_layers_is_found_before_the_first_photo(capsys):
    save("photos/a.png")
    save("style.jpg", (8, 8))
    assert stylize("photos") == 2
    assert "style.jpg cannot be the style: The style is 8x8 pixels" in capsys.readouterr().err
    assert not Path("stylized").exists()


def test_too_many_threads_are_not_started_and_said_once(capsys):
    processor._warn_of_fewer.cache_clear()
    save("photos/a.jpg")
    assert stylize("photos", "--model", "alexnet", "--threads", "1000") == 0
    cores = processor.available_cores()
    line = f"Using {cores} threads, not 1000: this process may use no more cores.\n"
    assert capsys.readouterr().err.count(line) == 1
    assert pictures() == ["a.jpg"]
