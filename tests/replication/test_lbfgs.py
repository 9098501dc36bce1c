"""Compares a whole run of L-BFGS with PyTorch's: 200 steps on VGG-16 at 256 pixels.

Runs only with ``-m replication``, since it takes minutes. The numbers of the last run are in the
folder results/ beside this file.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

from nstbatch.runtime.descent.loop import Bounds, descend
from nstbatch.runtime.descent.optimizers import LBFGS
from nstbatch.runtime.engine.engine import Engine
from nstbatch.runtime.objectives.terms import content, style, total_variation
from nstbatch.runtime.pictures.images import read
from nstbatch.runtime.pictures.sizes import resize, to_nchw

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
PHOTO, PAINTING = "photos/astronaut.jpg", "styles/starry_night.jpg"
SIZE, STEPS, POOLING = 256, 200, "avg"

# PyTorch's final loss must be at least this times ours. A guess.
MARK = 0.97

# Number of first steps whose losses are compared one by one. A guess.
CURVE = 50

TORCH_DEFAULT = 100  # torch.optim.LBFGS: history_size
HISTORIES = (LBFGS().history, TORCH_DEFAULT)

pytestmark = pytest.mark.replication


def picture(name: str) -> np.ndarray:
    """Picture (1, 3, SIZE, SIZE), RGB in [0, 1]."""
    return to_nchw(resize(read(EXAMPLES / name).pixels, (SIZE, SIZE)))


@pytest.fixture(scope="module")
def objective():
    """The default objective of style transfer."""
    layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    whole = content("relu4_2") + 10 * total_variation()
    for layer in layers:
        whole += 20 / len(layers) * style(layer)
    return whole


@pytest.fixture(scope="module")
def ours(objective):
    """Losses after every step, by the length of the history."""
    engine, photo = Engine("vgg16", device="cpu", precision="fp32"), picture(PHOTO)
    targets = {}
    for kind, reference in (("content", photo), ("style", picture(PAINTING))):
        terms = tuple(term for term in objective.terms if term.kind == kind)
        targets |= engine.targets(terms, reference, POOLING)

    def run(history: int) -> list[float]:
        optimizer, losses = LBFGS(history=history), []
        state = optimizer.initial_state(photo.shape)
        descent = engine.descent(
            objective, targets, photo, optimizer, state, pooling=POOLING, bounds=Bounds()
        )
        descend(descent, STEPS, lambda _, terms: losses.append(float(terms.sum())), lambda: False)
        return losses

    return {history: run(history) for history in HISTORIES}


@pytest.fixture(scope="module")
def pytorch(objective, reference):
    """A function (history, steps, start) -> losses after every step of PyTorch's L-BFGS."""
    network, photo = reference("vgg16", POOLING), picture(PHOTO)
    targets = network.targets(objective, {"content": photo, "style": picture(PAINTING)})

    def run(history: int, steps: int, start: np.ndarray) -> list[float]:
        image, losses = torch.tensor(start, requires_grad=True), []
        optimizer = torch.optim.LBFGS(
            [image],
            lr=1,
            max_iter=1,
            history_size=history,
            line_search_fn=None,
            tolerance_grad=-1,  # disables its stopping rules
            tolerance_change=-np.inf,
        )

        def closure():
            optimizer.zero_grad()
            loss = network.losses(objective, targets, image).sum()
            loss.backward()
            losses.append(loss.item())
            return loss

        for _ in range(steps):
            optimizer.step(closure)
        closure()
        return losses

    return run


@pytest.fixture(scope="module")
def theirs(pytorch):
    """Losses after every step, by the length of the history."""
    return {history: pytorch(history, STEPS, picture(PHOTO)) for history in HISTORIES}


@pytest.fixture(scope="module")
def nudged(pytorch):
    """PyTorch's losses from a start that differs by one rounding of float32."""
    photo = picture(PHOTO)
    nudge = np.random.default_rng(0).choice([-1, 1], photo.shape) * np.finfo(np.float32).eps
    return pytorch(LBFGS().history, CURVE, (photo * (1 + nudge)).astype(np.float32))


@pytest.fixture(scope="module", autouse=True)
def results(objective, ours, theirs, nudged):
    """Write the results to a file, even if a test fails."""
    runs = {"nstbatch": ours, "torch": theirs, "torch, nudged start": {LBFGS().history: nudged}}
    report = {
        "photo": PHOTO,
        "style": PAINTING,
        "size": SIZE,
        "pooling": POOLING,
        "steps": STEPS,
        "objective": str(objective),
        "versions": {name: version(name) for name in ("torch", "onnxruntime")},
        "final_loss": {name: last(runs[name]) for name in ("nstbatch", "torch")},
        "loss_every_10_steps": {name: every_10(losses) for name, losses in runs.items()},
    }
    path = HERE / "results" / "lbfgs.json"
    path.write_text(json.dumps(report, indent=1) + "\n")


def last(by_history):
    return {history: float(f"{losses[-1]:.6g}") for history, losses in by_history.items()}


def every_10(by_history):
    return {
        history: " ".join(f"{loss:.4g}" for loss in losses[::10])
        for history, losses in by_history.items()
    }


def deviation(losses, from_losses):
    """Largest relative deviation over the first steps."""
    first = slice(CURVE + 1)
    return np.abs(np.divide(losses[first], from_losses[first]) - 1).max()


@pytest.mark.parametrize("history", HISTORIES)
def test_pytorch_does_not_end_lower(ours, theirs, history):
    assert len(ours[LBFGS().history]) == len(theirs[history]) == STEPS + 1
    assert theirs[history][-1] >= MARK * ours[LBFGS().history][-1]


def test_the_loss_goes_down_as_pytorchs_does(ours, theirs, nudged):
    """Our run deviates from PyTorch's no more than twice as much as a start off by one rounding."""
    history = LBFGS().history
    own = deviation(nudged, theirs[history])
    assert deviation(ours[history], theirs[history]) <= 2 * max(own, 0.02)
