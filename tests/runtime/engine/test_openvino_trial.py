"""The trial of OpenVINO passes here, and finds wrong numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nstbatch.runtime.devices.openvino_probe import fastest_first, try_now
from nstbatch.runtime.devices.providers import check
from nstbatch.runtime.engine import openvino_trial

pytestmark = pytest.mark.skipif(not check("openvino").usable, reason="OpenVINO is not here")


def test_the_trial_passes_in_a_process_of_its_own() -> None:
    assert try_now() is None
    offered = check("openvino").precisions
    assert sorted(fastest_first(offered)) == sorted(offered)


def test_the_precision_of_the_fastest_turn_is_the_fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first turn does not count: it may be slow. Nor does a turn that something disturbed."""
    turns = {"bf16": iter([9, 5, 2, 8]), "fp32": iter([1.5, 4, 3, 3])}
    monkeypatch.setattr(openvino_trial, "TURNS", 3)
    monkeypatch.setattr(openvino_trial, "_compiled", lambda node, value, precision: precision)
    monkeypatch.setattr(openvino_trial, "_seconds", lambda precision, maps: next(turns[precision]))
    monkeypatch.setattr(
        openvino_trial, "check", lambda device: replace(check(device), precisions=tuple(turns))
    )
    assert openvino_trial.fastest() == "bf16"


@pytest.mark.parametrize("computed", ["product", "convolution"])
@pytest.mark.parametrize("fault", [lambda found: found * 1.1, lambda found: found * np.nan])
def test_wrong_numbers_are_found(monkeypatch: pytest.MonkeyPatch, computed: str, fault) -> None:
    compute = getattr(openvino_trial, computed)

    def faulty(random: np.random.Generator, precision: str):
        found, expected = compute(random, precision)
        return fault(found), expected

    monkeypatch.setattr(openvino_trial, computed, faulty)
    assert str(openvino_trial.reason()).startswith(f"its {computed} in ")


def test_a_wrong_gradient_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = np.ones((1, 3, 8, 8), np.float32)
    gradients = {"fp32": right, "bf16": -right}
    monkeypatch.setattr(openvino_trial, "gradient", gradients.__getitem__)
    if "bf16" in check("openvino").precisions:
        expected = "its gradient in bf16 is not that in fp32 (relative error 2)"
        assert openvino_trial.reason() == expected
    else:
        assert openvino_trial.reason() is None
