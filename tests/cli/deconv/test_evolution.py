"""Feature evolution: a small network, trained here on generated shapes, at five epochs."""

import json
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nstbatch.cli.main import run
from nstbatch.exporter import template as template_module
from nstbatch.runtime.pictures import images

SIZE, SHAPES, CHECKPOINTS = 48, 4, 5
EPOCHS = 20  # a checkpoint after every fourth

NETWORK = f"""
from collections import OrderedDict

from torch import nn


def build():
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 12, 7, stride=2, padding=3),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(12, 24, 3, padding=1),
            relu2=nn.ReLU(),
            pool=nn.AdaptiveMaxPool2d(1),
            flat=nn.Flatten(),
            classes=nn.Linear(24, {SHAPES}),
        )
    )
"""


def shape(kind: int, rng: np.random.Generator) -> np.ndarray:
    """Stripes across, stripes down, a disc or a square, somewhere, in two colours: (3, H, W)."""
    row, column = np.mgrid[:SIZE, :SIZE] - rng.integers(14, SIZE - 14, (2, 1, 1))
    radius = rng.integers(7, 12)
    inside = [
        row // 3 % 2 == 0,
        column // 3 % 2 == 0,
        row**2 + column**2 < radius**2,
        np.maximum(abs(row), abs(column)) < radius,
    ][kind]
    ground, figure = rng.random((2, 3, 1, 1))
    figure = np.where(abs(figure - ground).max() < 0.4, (ground + 0.5) % 1, figure)
    return np.where(inside, figure, ground).astype(np.float32)


def shapes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    kinds = np.arange(count) % SHAPES
    return np.stack([shape(kind, rng) for kind in kinds]), kinds


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The network's definition, its checkpoints and pictures to show them."""
    place = tmp_path_factory.mktemp("evolution")
    (place / "net.py").write_text(NETWORK)
    (place / "shapes").mkdir()
    for index, picture in enumerate(shapes(16, seed=1)[0]):
        images.write(place / f"shapes/{index:02}.png", picture.transpose(1, 2, 0))
    train(place)
    return place


def train(place: Path) -> None:
    torch.manual_seed(0)
    scope: dict = {"OrderedDict": OrderedDict}
    exec(NETWORK, scope)
    network = scope["build"]()
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).reshape(2, 1, 3, 1, 1)
    pictures, kinds = (torch.tensor(values) for values in shapes(400, seed=0))
    pictures = (pictures - mean) / std
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for epoch in range(1, EPOCHS + 1):
        for batch in torch.randperm(len(kinds)).split(20):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(pictures[batch]), kinds[batch])
            loss.backward()
            optimizer.step()
        if epoch % (EPOCHS // CHECKPOINTS) == 0:
            torch.save(network.state_dict(), place / f"epoch{epoch:02}.pth")
    accuracy = (network(pictures).argmax(1) == kinds).float().mean()
    assert accuracy > 0.9  # it has learnt something


def evolve(*arguments: str) -> int:
    options = ("--model", "net.py:build", "--size", str(SIZE), "--device", "cpu", "--threads", "1")
    return run(["deconv", "shapes", *options, *arguments])


@pytest.fixture
def checkpoints(folder, monkeypatch) -> list[str]:
    monkeypatch.chdir(folder)
    return [path.name for path in sorted(Path().glob("epoch*.pth"))]


def test_filters_form(checkpoints, capsys, monkeypatch):
    traced = []
    trace = template_module.trace_graphs

    def counted(export, log):
        traced.append(export)
        return trace(export, log)

    monkeypatch.setattr(template_module, "trace_graphs", counted)
    options = ("--layer", "relu1,relu2", "--filters", "0-7", "--json")
    assert len(checkpoints) == CHECKPOINTS
    assert evolve(*options, "--checkpoints", *checkpoints) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["output"] for line in lines] == [
        str(Path("deconv", f"relu{layer}_evolution.png")) for layer in (1, 2)
    ]
    assert len(traced) == 1  # only the weights differ
    for line in lines:
        sheet = images.read(line["output"]).pixels
        assert sheet.shape[1] > CHECKPOINTS * 160
        assert [c["file"] for c in line["checkpoints"]] == checkpoints
        strongest = [
            [f["maxima"][0]["value"] if f["maxima"] else 0.0 for f in c["filters"]]
            for c in line["checkpoints"]
        ]
        assert np.shape(strongest) == (CHECKPOINTS, 8)
        # What the network has learnt makes its filters fire more strongly.
        assert np.mean(strongest[-1]) > 1.2 * np.mean(strongest[0])

    before = Path("deconv/relu1_evolution.png").stat().st_mtime_ns
    assert evolve(*options, "--checkpoints", *checkpoints) == 0
    again = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["status"] for line in again] == ["skipped"] * 2
    assert Path("deconv/relu1_evolution.png").stat().st_mtime_ns == before
    assert len(traced) == 1
    assert evolve(*options, "--checkpoints", *checkpoints[:4]) == 2
    err = capsys.readouterr().err
    assert "relu1_evolution.png: made from other images, or with another network or layer" in err


def test_a_checkpoint_that_does_not_fit_is_named_before_anything_is_drawn(checkpoints, capsys):
    state = torch.load(checkpoints[0])
    state["conv2.weight"] = state["conv2.weight"][:, :6]
    torch.save(state, "narrow.pth")
    Path("text.pth").write_text("no weights")
    for wrong, reason in {
        "narrow.pth": "conv2.weight is (24, 6, 3, 3); expected (24, 12, 3, 3)",
        "text.pth": "is not a weights file",
        "gone.pth": "There is no weights file gone.pth",
    }.items():
        arguments = ("--layer", "relu1", "-o", "never", "--checkpoints", checkpoints[0], wrong)
        assert evolve(*arguments) == 2
        err = capsys.readouterr().err
        assert wrong in err
        assert reason in err
        assert not Path("never").exists()


def test_wrong_usage(checkpoints, capsys):
    assert evolve("--layer", "relu9", "-o", "never", "--checkpoints", *checkpoints) == 2
    assert "relu9" in capsys.readouterr().err
    assert evolve("-o", "never", "--checkpoints", *checkpoints) == 2
    assert "Name one with --layer" in capsys.readouterr().err
    assert (
        evolve("--layer", "relu1", "-o", "never", "--checkpoints", *checkpoints, "--dry-run") == 0
    )
    assert capsys.readouterr().out.strip() == str(Path("never/relu1_evolution.png"))
    assert not Path("never").exists()
