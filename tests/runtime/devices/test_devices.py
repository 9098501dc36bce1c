"""The checks of devices, and the commands that they suggest."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import onnx
import pytest

from nstbatch.runtime.devices import devices
from nstbatch.runtime.devices.openvino import openvino
from nstbatch.runtime.devices.providers import check, resolve, within_reach
from nstbatch.runtime.errors import ProviderError

UseRuntime: TypeAlias = Callable[..., Any]
UseDriver: TypeAlias = Callable[..., None]


def test_a_device_is_tried_with_one_relu() -> None:
    text = '<ir_version: 10, opset_import: ["": 20]> probe (float[1] x) => (float[1] y) '
    assert onnx.parser.parse_model(text + "{ y = Relu(x) }").SerializeToString() == devices.RELU


def test_no_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ProviderError, match=r"pip install .*'onnxruntime>="):
        resolve("cpu")


def test_what_a_removed_twin_leaves_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace())
    finding = check("cpu")
    assert not finding.usable
    assert "incomplete" in finding.detail
    assert finding.fix is not None
    assert " -m pip uninstall -y onnxruntime " in finding.fix


# --- Faster devices ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gpus", "bf16", "found"),
    [
        (1, True, "cuda"),
        (0, True, "openvino"),
        (None, True, "openvino"),  # there is no driver
        (0, False, None),  # in fp32 OpenVINO is no faster
        (0, None, None),
    ],
)
def test_what_is_faster_and_within_reach(
    monkeypatch: pytest.MonkeyPatch,
    use_runtime: UseRuntime,
    use_driver: UseDriver,
    gpus: int | None,
    bf16: bool | None,
    found: str | None,
) -> None:
    use_driver(gpus=gpus)
    use_runtime()
    monkeypatch.setattr(devices, "has_bf16", lambda: bf16)
    openvino.cache_clear()
    monkeypatch.setitem(sys.modules, "openvino", None)
    missing = within_reach()
    assert (None if missing is None else missing.device) == found
    assert missing is None or (missing.usable, missing.fix is None) == (False, False)


def test_nothing_is_faster_than_a_gpu_that_can_be_used(
    monkeypatch: pytest.MonkeyPatch, use_runtime: UseRuntime, use_driver: UseDriver
) -> None:
    use_driver(gpus=1)
    runtime = use_runtime(providers=("CUDAExecutionProvider",))
    monkeypatch.setattr(runtime, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(devices, "has_bf16", lambda: True)
    monkeypatch.setattr(devices, "_probe", lambda *_: None)
    assert within_reach() is None


# --- Commands ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "spelled_out"),
    [
        ("cpu", devices.CPU),
        ("openvino", devices.OPENVINO),
        ("gpu", devices.GPU),
        ("tensorrt", devices.TENSORRT),
    ],
)
def test_the_commands_install_what_the_extras_do(extra: str, spelled_out: tuple[str, ...]) -> None:
    project = tomllib.loads(
        (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    )["project"]
    requirements = project["optional-dependencies"][extra]
    own = [name for name in requirements if ";" not in name and "nstbatch[" not in name]
    assert own
    assert set(own) <= set(spelled_out)
