"""The command end to end, on a real network: tiny pictures, two steps."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nstbatch.cli.main import run
from nstbatch.runtime.pictures import images

QUICK = ("--size", "64", "--iterations", "2", "--device", "cpu", "--threads", "1")
ALEXNET = ("--model", "alexnet")
OUT = Path("reconstructed")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NSTBATCH_HOME", str(tmp_path / "home"))
    Path("photos").mkdir()
    save("photos/a.jpg")
    save("photos/b.png")
    return tmp_path


def save(path: str, size: tuple[int, int] = (80, 60)) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    Image.fromarray(colours).resize(size, Image.Resampling.BICUBIC).save(path)


def reconstruct(*arguments: str) -> int:
    return run(["reconstruct", "photos", *ALEXNET, *QUICK, *arguments])


def written() -> list[str]:
    return sorted(path.name for path in OUT.iterdir() if path.suffix not in (".jsonl", ".toml"))


def rows() -> list[dict[str, str]]:
    with (OUT / "reconstruction.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ---- what comes out ---------------------------------------------------------------------------


def test_a_folder_becomes_sheets_with_their_errors(capsys):
    assert reconstruct("--layers", "conv1,relu2") == 0
    assert capsys.readouterr().out.split() == [str(OUT / "a.png"), str(OUT / "b.png")]
    assert written() == ["a.json", "a.png", "b.json", "b.png", "reconstruction.csv"]
    height, width, _ = images.read(OUT / "a.png").pixels.shape
    assert height >= 48
    assert width >= 3 * 64  # the original and two layers
    data = json.loads((OUT / "a.json").read_text())
    assert (data["image"], data["model"]) == (str(Path("photos/a.jpg")), "alexnet")
    assert (data["width"], data["height"], data["provider"]) == (64, 48, "cpu")
    assert data["options"]["iterations"] == 2
    assert [layer["layer"] for layer in data["layers"]] == ["conv1", "relu2"]
    assert all(0 < layer["error"] < 10 for layer in data["layers"])
    found = rows()
    assert [row["layer"] for row in found] == ["conv1", "relu2"] * 2
    assert [float(row["error"]) for row in found[:2]] == [
        layer["error"] for layer in data["layers"]
    ]


def test_the_json_line_has_the_loss_of_every_layer(capsys):
    assert reconstruct("--layers", "conv1,relu2", "--json") == 0
    line = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (line["status"], line["steps"]) == ("done", 4)
    assert set(line["losses"]) == {"conv1", "relu2", "total"}
    assert line["losses"]["total"] == pytest.approx(sum(line["losses"].values()) / 2)


def test_a_sweep_is_a_table_beside_the_published_one(capsys):
    assert reconstruct("--layers", "conv1,pool1", "--sweep-tv") == 0
    out = capsys.readouterr().out.splitlines()
    title, first, second = out[2:]
    assert title.split("  ")[0] == "LAYER"
    assert title.endswith("PUBLISHED 0.5  PUBLISHED 5  PUBLISHED 50")
    assert first.split()[0] == "conv1"
    assert first.split()[-3:] == ["10.0", "20.2", "40.8"]
    assert second.split()[-3:] == ["21.9", "30.3", "54.1"]
    found = rows()
    assert len(found) == 2 * 2 * 3
    errors = [float(row["error"]) for row in found if row["layer"] == "conv1"]
    assert first.split()[1] == f"{100 * (errors[0] + errors[3]) / 2:.1f}"


def test_every_option_changes_the_picture():
    options = [
        ("--seed", "1"),
        ("--tv-weight", "40"),
        ("--tv-beta", "1.5"),
        ("--alpha-weight", "1e-6"),
        ("--alpha", "3"),
        ("--optimizer", "lbfgs"),
        ("--jitter", "4"),
        ("--learning-rate", "0.5"),
        ("--pooling", "avg"),
        ("--iterations", "3"),
        ("--layers", "relu2"),
    ]
    Path("photos/b.png").unlink()
    seen = set()
    for index, option in enumerate([(), *options]):
        out = f"out{index}"
        assert reconstruct("--layers", "pool1", "-o", out, *option) == 0
        seen.add(Path(out, "a.png").read_bytes())
    assert len(seen) == len(options) + 1


# ---- again ------------------------------------------------------------------------------------


def test_a_second_run_makes_only_what_is_missing(capsys):
    assert reconstruct("--layers", "conv1") == 0
    before = (OUT / "a.png").stat().st_mtime_ns
    (OUT / "b.png").unlink()
    (OUT / "reconstruction.csv").unlink()
    capsys.readouterr()
    assert reconstruct("--layers", "conv1") == 0
    assert capsys.readouterr().out.split() == [str(OUT / "b.png")]
    assert (OUT / "a.png").stat().st_mtime_ns == before
    assert [(Path(row["image"]).name, row["layer"]) for row in rows()] == [
        ("a.jpg", "conv1"),
        ("b.png", "conv1"),
    ]
    assert reconstruct("--layers", "relu1") == 2
    assert "2 pictures made with other settings or from other photos" in capsys.readouterr().err


def test_a_damaged_record_is_left_out_of_the_csv(capsys):
    assert reconstruct("--layers", "conv1") == 0
    (OUT / "a.json").write_text('{"image": "a"}')
    assert reconstruct("--layers", "conv1") == 0
    assert "a.json" in capsys.readouterr().err
    assert [Path(row["image"]).name for row in rows()] == ["b.png"]


def test_an_interrupted_run_leaves_nothing_half_written():
    command = [sys.executable, "-m", "nstbatch", "reconstruct", "photos", *ALEXNET, *QUICK]
    with subprocess.Popen(
        [*command, "--layers", "conv1", "--iterations", "1000000", "-v"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stderr is not None
        for line in program.stderr:
            if "scale 1/1, conv1" in line:
                program.send_signal(signal.SIGINT)
                break
        out, err = program.communicate(timeout=120)
    assert program.returncode == 130
    assert out == ""
    assert "interrupted: 0 pictures done, 2 not tried" in err
    assert written() == []


# ---- what is wrong ----------------------------------------------------------------------------


def test_a_bad_photo_does_not_stop_the_others(capsys):
    Path("photos/a.jpg").write_bytes(b"")
    assert reconstruct("--layers", "conv1") == 1
    assert written() == ["b.json", "b.png", "reconstruction.csv"]
    assert "The file is empty" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_fails_the_photo_and_names_the_layer(capsys):
    assert reconstruct("--layers", "conv1", "--alpha-weight", "1e27") == 1
    assert "conv1: The loss is no longer a finite number" in capsys.readouterr().err
    assert written() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--layers", "relu9"), "Known: conv1, relu1"),
        (("--layers", "pool5", "--size", "40"), "size must be at least 63 for pool5, not 40"),
        (("--tv-weight", "1", "--sweep-tv"), "either --sweep-tv or --tv-weight"),
        (("--tv-beta", "0.5"), "tv_beta must be"),
        (("--jitter", "2", "--optimizer", "lbfgs"), "L-BFGS would mistake the jitter"),
        (("--pooling", "min"), "avg, max"),
        (("--model", "alexnte"), "Did you mean 'alexnet'"),
    ],
)
def test_wrong_usage_is_found_before_the_first_step(capsys, options, message):
    assert reconstruct(*options) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert not OUT.exists()


def test_a_dry_run_makes_nothing(capsys):
    assert reconstruct("--dry-run") == 0
    assert "a.jpg -> " in capsys.readouterr().out
    assert not OUT.exists()
