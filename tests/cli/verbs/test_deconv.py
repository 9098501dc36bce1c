"""The command end to end, on AlexNet: tiny pictures, few filters."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nstbatch.cli.jobs.invocation import SAVED
from nstbatch.cli.main import run
from nstbatch.cli.output.ledger import NAME
from nstbatch.runtime.deconvnet.deconvnet import Deconvnet
from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.pictures import images, sizes

QUICK = ("--model", "alexnet", "--size", "64", "--device", "cpu", "--threads", "1")
LAYER = ("--layer", "relu2")
FEW = (*LAYER, "--filters", "3,7-8")
SHEETS = [f"relu2_filter_{number:04}.png" for number in (3, 7, 8)]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NSTBATCH_HOME", str(tmp_path / "home"))
    Path("photos").mkdir()
    for index in range(10):
        save(f"photos/{index}.png", index)
    return tmp_path


def save(path: str, seed: int = 0) -> None:
    colours = np.random.default_rng(seed).random((9, 11, 3), np.float32)
    images.write(path, sizes.resize(colours, (70, 90)))


def deconv(*arguments: str) -> int:
    return run(["deconv", "photos", *QUICK, *arguments])


def records(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def files(out: str = "deconv") -> list[str]:
    """What is in the output folder beside the ledger and the settings."""
    return sorted({path.name for path in Path(out).iterdir()} - {NAME, SAVED})


# ---- sheets -----------------------------------------------------------------------------------


def test_a_sheet_for_each_filter_and_again_nothing(capsys):
    assert deconv(*FEW) == 0
    out, err = capsys.readouterr()
    assert out.split() == [str(Path("deconv", name)) for name in SHEETS]
    assert "3 pictures done" in err
    assert files() == sorted([*SHEETS, "deconv.json", "relu2_overview.png"])
    for name in (*SHEETS, "relu2_overview.png"):
        assert images.read(Path("deconv", name)).pixels.std() > 0.1
    before = {path: path.stat().st_mtime_ns for path in Path("deconv").iterdir()}
    assert deconv(*FEW) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "0 pictures done, 3 already there" in err
    assert "passing over" not in err
    assert {path: path.stat().st_mtime_ns for path in Path("deconv").iterdir()} == before


def test_a_json_line_for_every_sheet(capsys):
    assert deconv(*FEW, "--json") == 0
    lines = records(capsys)
    assert [line["filter"] for line in lines] == [3, 7, 8]
    first = lines[0]
    assert (first["status"], first["provider"], first["precision"]) == ("done", "cpu", "fp32")
    assert (first["input"], first["layer"], first["losses"]) == (None, "relu2", {})
    assert first["steps"] == len(first["maxima"]) > 0
    stored = json.loads(Path("deconv/deconv.json").read_text())["layers"]["relu2"]
    assert stored["filters"][3]["maxima"] == first["maxima"]
    assert len(stored["filters"]) == 192
    assert len(stored["images"]) == 10
    values = [maximum["value"] for maximum in first["maxima"]]
    assert values == sorted(values, reverse=True)
    assert deconv(*FEW, "--json") == 0
    again = records(capsys)
    assert [line["status"] for line in again] == ["skipped"] * 3
    assert [line["maxima"] for line in again] == [line["maxima"] for line in lines]


def test_more_filters_and_layers_are_added(capsys):
    assert deconv(*FEW) == 0
    assert deconv("--layer", "relu2", "--filters", "8-9") == 0
    assert "passing over" in capsys.readouterr().err.split("3 pictures done")[0]
    assert "relu2_filter_0009.png" in files()
    assert deconv("--layer", "relu1,relu2", "--filters", "8-9", "-q") == 0
    assert "relu1_filter_0008.png" in files()
    assert set(json.loads(Path("deconv/deconv.json").read_text())["layers"]) == {"relu1", "relu2"}


def test_sixteen_of_the_strongest_by_default(capsys):
    assert deconv(*LAYER, "--json") == 0
    shown = records(capsys)
    assert len(shown) == 16
    stored = json.loads(Path("deconv/deconv.json").read_text())["layers"]["relu2"]["filters"]
    strengths = {f["filter"]: f["maxima"][0]["value"] if f["maxima"] else 0 for f in stored}
    weakest = min(strengths[line["filter"]] for line in shown)
    assert sum(value > weakest for value in strengths.values()) == 15


def test_many_filters_have_several_overviews():
    assert deconv("--layer", "conv1", "--filters", "0-16") == 0
    overviews = [name for name in files() if "overview" in name]
    assert overviews == ["conv1_overview_1.png"]  # the second would show one filter alone


@pytest.mark.parametrize("rule", ["gradient", "guided"])
def test_rules_differ(rule):
    assert deconv("--layer", "relu2", "--filters", "7") == 0
    assert deconv("--layer", "relu2", "--filters", "7", "--rule", rule, "-o", rule) == 0
    one, other = (Path(out, SHEETS[1]).read_bytes() for out in ("deconv", rule))
    assert one != other


def test_sheets_of_other_images_or_settings_are_not_mixed(capsys):
    assert deconv(*FEW) == 0
    before = Path("deconv", SHEETS[0]).read_bytes()
    assert deconv(*FEW, "--rule", "guided") == 2
    assert "deconv holds sheets of relu2 of other images or settings" in capsys.readouterr().err
    assert Path("deconv", SHEETS[0]).read_bytes() == before
    assert deconv(*LAYER, "--filters", "7", "--rule", "guided", "--overwrite") == 0
    assert files() == ["deconv.json", SHEETS[1]]  # no sheet of the others stays


def test_sheets_whose_maxima_are_not_known_are_drawn_anew():
    assert deconv(*FEW) == 0
    before = {name: Path("deconv", name).read_bytes() for name in SHEETS}
    Path("deconv/deconv.json").unlink()
    assert deconv(*FEW, "--rule", "gradient") == 0
    assert all(Path("deconv", name).read_bytes() != before[name] for name in SHEETS)


def test_a_dry_run_draws_nothing(capsys):
    assert deconv(*FEW, "--dry-run") == 0
    assert capsys.readouterr().out.split() == [str(Path("deconv", name)) for name in SHEETS]
    assert deconv(*LAYER, "--dry-run", "--json") == 0
    (line,) = records(capsys)
    assert (line["status"], line["filter"]) == ("planned", None)
    assert not Path("deconv").exists()


def test_folders_within_folders(capsys):
    Path("photos/more").mkdir()
    for index in range(8):
        Path(f"photos/{index}.png").rename(f"photos/more/{index}.png")
    assert deconv(*FEW) == 2
    assert "there are 2" in capsys.readouterr().err
    assert deconv(*FEW, "-r") == 0


# ---- bad images -------------------------------------------------------------------------------


def test_bad_images_are_left_out(write_unreadable, capsys):
    reasons = write_unreadable(Path("photos"))
    assert deconv(*FEW) == 1
    out, err = capsys.readouterr()
    assert len(out.split()) == 3
    for name, reason in reasons.items():
        assert any(name in line and reason in line for line in err.splitlines()), (name, reason)
    assert "Traceback" not in err
    assert deconv(*FEW, "--json") == 1  # and said again
    failed = [line for line in records(capsys) if line["status"] == "failed"]
    assert {Path(line["input"]).name for line in failed} == reasons.keys()


def test_fewer_than_nine_good_ones_are_too_few(capsys):
    Path("photos/8.png").write_text("no picture")
    Path("photos/9.png").unlink()
    assert deconv(*FEW) == 1
    err = capsys.readouterr().err
    assert "8 of 9 can be read" in err
    assert "8.png: Not recognised" in err
    assert files() == []


def test_what_fails_spoils_its_own_sheet_alone(monkeypatch, capsys):
    project = Deconvnet.project

    def failing(self, found, maxima):
        if maxima[0].filter == 7:
            raise ImageError("It is gone.")
        return project(self, found, maxima)

    monkeypatch.setattr(Deconvnet, "project", failing)
    assert deconv(*FEW) == 1
    assert f"failed {Path('deconv', SHEETS[1])}: It is gone." in capsys.readouterr().err
    assert files() == ["deconv.json", SHEETS[0], SHEETS[2]]
    monkeypatch.setattr(Deconvnet, "project", project)
    assert deconv(*FEW) == 0
    assert files() == ["deconv.json", *SHEETS, "relu2_overview.png"]


# ---- wrong usage ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "Name one with --layer: conv1, relu1"),
        (("--layer", "relu9"), "conv1, relu1"),
        (("--layer", "relu2", "--filters", "0-192"), "relu2 has filters 0 to 191"),
        (("--layer", "relu2", "--filters", "some"), "no choice of filters"),
        (("--layer", "relu2", "--rule", "guide"), "deconv, gradient, guided"),
        (("--layer", "relu2", "--size", "8"), "relu2 is too deep for images of 8 pixels"),
        (("--layer", "relu2", "--size", "0"), "size must be"),
        (("--layer", "relu2", "--model", "alexnot"), "Did you mean 'alexnet'"),
        (("--layer", "relu2", "--device", "gpu"), "auto, cpu, openvino"),
        (("--layer", "relu2", "--out", "photos/1.png"), "deconv makes many sheets from many"),
        (("--layer", "relu2", "gone"), "There is no file or folder gone"),
        (("--checkpoints", "a.pth", "--compare", "alexnet", "vgg16"), "exclude each other"),
        (("--compare", "alexnet", "vgg61"), "Did you mean 'vgg16'"),
        (("--compare", "alexnet", "vgg16", "--layer", "a,b,c"), "one --layer of each"),
        (("--checkpoints", "gone.pth", "--layer", "relu2"), "no weights file gone.pth"),
        (("--checkpoints", "a.pth"), "Name one with --layer"),
    ],
)
def test_wrong_usage_is_found_before_anything_is_drawn(capsys, options, message):
    assert run(["deconv", "photos", *QUICK, *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    assert not Path("deconv").exists()


def test_an_empty_folder_is_exit_code_3(capsys):
    Path("empty").mkdir()
    assert run(["deconv", "empty", *QUICK, *LAYER]) == 3
    assert "No photo was found in empty" in capsys.readouterr().err


# ---- interruption -----------------------------------------------------------------------------


def start(*arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "nstbatch", "deconv", "photos", *QUICK, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_ended_goes_on_and_repeats_nothing(number, capsys):
    options = (*LAYER, "--filters", "0-60")
    with start(*options) as program:
        finished = [program.stdout.readline().strip() for _ in range(3)]
        program.send_signal(number)
        out, err = program.communicate(timeout=120)
    finished += out.split()
    assert program.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert len(finished) < 61
    assert "Traceback" not in err
    before = {name: Path(name).stat().st_mtime_ns for name in finished}
    assert deconv(*options, "--json") == 0
    lines = records(capsys)
    assert len(lines) == 61
    skipped = {line["output"] for line in lines if line["status"] == "skipped"}
    assert set(finished) <= skipped
    assert len(skipped) <= len(finished) + 1  # written, and killed before it was said
    assert {name: Path(name).stat().st_mtime_ns for name in finished} == before
    assert not list(Path("deconv").glob(".nstbatch-*")) or number == signal.SIGKILL


# ---- two networks -----------------------------------------------------------------------------


def test_two_networks_side_by_side(capsys):
    assert deconv("--compare", "alexnet", "squeezenet1_1", "--json") == 0
    (line,) = records(capsys)
    assert (line["status"], line["output"]) == ("done", str(Path("deconv/compare.png")))
    first, second = line["networks"]
    assert (first["model"], first["layer"], first["filters"]) == ("alexnet", "relu1", 64)
    assert (second["model"], second["layer"]) == ("squeezenet1_1", "relu_conv1")
    stored = json.loads(Path("deconv/compare.json").read_text())["networks"]
    assert stored[0]["dead"] == first["dead"]
    assert sum(stored[0]["histogram"]["counts"]) > 0
    assert images.read("deconv/compare.png").pixels.std() > 0.1
    assert deconv("--compare", "alexnet", "squeezenet1_1", "--json") == 0
    (again,) = records(capsys)
    assert again["status"] == "skipped"
    assert again["networks"] == line["networks"]


def test_a_comparison_of_something_else_is_not_mixed_up(capsys):
    assert deconv("--compare", "alexnet", "squeezenet1_1") == 0
    assert deconv("--compare", "alexnet", "alexnet") == 2
    err = capsys.readouterr().err
    assert "compare.png: made from other images, or with another network or layer" in err
    assert deconv("--compare", "alexnet", "alexnet", "--layer", "relu2", "--overwrite") == 0


def test_layers_of_two_networks_can_be_named(capsys):
    options = ("--compare", "alexnet", "squeezenet1_1", "--layer", "relu2,fire2/concat")
    assert deconv(*options, "--json") == 0
    (line,) = records(capsys)
    assert [network["layer"] for network in line["networks"]] == ["relu2", "fire2/concat"]


def test_bad_images_are_left_out_of_a_comparison(write_unreadable, capsys):
    reasons = write_unreadable(Path("photos"))
    assert deconv("--compare", "alexnet", "squeezenet1_1") == 1
    err = capsys.readouterr().err
    assert all(err.count(f"{name}: ") == 1 for name in reasons)
    assert json.loads(Path("deconv/compare.json").read_text())["networks"][1]["images"] == 10
