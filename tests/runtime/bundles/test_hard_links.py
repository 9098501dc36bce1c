"""A bundle whose files have several hard links, as uv installs them, works like any other."""

import os
from pathlib import Path

import numpy as np
import pytest

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.deconvnet.first_layer import first_layer
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.engine.engine import Engine
from nstbatch.runtime.objectives.terms import content


@pytest.fixture
def linked(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("NSTBATCH_CACHE", str(tmp_path / "cache"))  # nothing is there from before
    folder = tmp_path / "squeezenet1_1"
    folder.mkdir()
    for path in Bundle.load("squeezenet1_1").path.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
        os.link(folder / path.name, tmp_path / path.name)
    assert all(path.stat().st_nlink == 2 for path in folder.iterdir())
    return folder


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_its_graphs_run(linked, precision):
    image = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    results = []
    for model in (linked, "squeezenet1_1"):
        engine = Engine(model, device="cpu", threads=1)
        engine.provider = Provider("cpu", precision)
        (target,) = engine.targets(content("fire5/concat").terms, image, "max").values()
        results.append(engine.project("deconv", "fire5/concat", target, image))
    np.testing.assert_array_equal(*results)
    assert np.abs(results[0]).max() > 0


def test_its_first_filters_can_be_shown(linked):
    ours, theirs = (first_layer(Bundle.load(model)).filters for model in (linked, "squeezenet1_1"))
    np.testing.assert_array_equal(ours, theirs)
