"""The trial of CUDA, computed by the processor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nstbatch.runtime.devices import gpu_trial, nvidia
from nstbatch.runtime.devices.providers import Provider


class OnProcessor(Provider):
    """The processor in the place of the GPU."""

    def __new__(cls, device: str, precision: str) -> Any:
        return Provider("cpu", precision)


@pytest.fixture(autouse=True)
def on_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_trial, "Provider", OnProcessor)


def test_a_device_that_computes_right_passes() -> None:
    assert gpu_trial.reason() is None


@pytest.mark.parametrize("name", ["convolution", "product"])
@pytest.mark.parametrize("wrong", [0.0, 1.01, np.nan])
def test_wrong_numbers_are_a_reason(
    name: str, wrong: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = gpu_trial.expected

    def expected(feeds: Any) -> Any:
        values = right(feeds)
        return values | {name: values[name] * wrong if wrong else values[name] + 1}

    monkeypatch.setattr(gpu_trial, "expected", expected)
    assert f"its {name} in fp16 is wrong (relative error " in (gpu_trial.reason() or "")


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("libcudnn.so.9: cannot open shared object file", "the library libcudnn.so.9 is missing"),
        (
            "CUDA failure 209: no kernel image is available for execution on the device ; GPU=0",
            "ONNX Runtime has no code for this GPU",
        ),
        (
            "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version",
            "NVIDIA's driver is older than CUDA 13",
        ),
        ("Something else\nin two lines", "Something else"),
        ("", "no reason is given"),
    ],
)
def test_an_error_is_a_reason_in_one_sentence(
    message: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(provider: Provider) -> None:
        raise RuntimeError(message)

    monkeypatch.setattr(gpu_trial, "relative_errors", fail)
    reason = gpu_trial.reason() or ""
    assert reason.startswith(f"it does not run in fp16: {sentence}")
    assert "\n" not in reason
    assert ("onnxruntime-gpu[cuda,cudnn]" in reason) == ("is missing" in sentence)


@pytest.mark.parametrize(
    ("generation", "is_known"),
    [(61, False), (70, False), (75, True), (87, True), (90, True), (100, False), (121, True)],
)
def test_generations_with_code(
    generation: int, is_known: bool, use_driver: Callable[..., None]
) -> None:
    use_driver(gpus=1, generation=generation)
    found = nvidia.driver()
    assert found.generation == divmod(generation, 10)
    assert found.is_known_generation is is_known
