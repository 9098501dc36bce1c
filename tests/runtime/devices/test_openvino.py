"""OpenVINO: what the checks say of it, and that its package reports nothing."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from nstbatch.runtime.devices import devices, openvino, openvino_probe
from nstbatch.runtime.devices.openvino import properties
from nstbatch.runtime.devices.providers import Provider, check, resolve
from nstbatch.runtime.devices.trial import Trial
from nstbatch.runtime.errors import ProviderError


@pytest.fixture
def use_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    """An OpenVINO that finds a processor."""
    core = SimpleNamespace(available_devices=["CPU"])
    package = SimpleNamespace(__version__="2026.4.1-22982-e213a147257-releases/2026/4")
    monkeypatch.setattr(devices, "openvino", lambda: package)
    monkeypatch.setattr(devices, "core", lambda: core)


def test_openvino_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    openvino.openvino.cache_clear()
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(devices.platform, "system", lambda: "Linux")
    monkeypatch.setattr(devices.platform, "machine", lambda: "x86_64")
    with pytest.raises(ProviderError, match=r"pip install .*openvino>="):
        resolve("openvino")
    monkeypatch.setattr(devices.platform, "machine", lambda: "riscv64")
    finding = check("openvino")
    assert (finding.detail, finding.fix) == ("OpenVINO has no package for Linux riscv64", None)


@pytest.mark.parametrize(
    ("bf16", "precisions"),
    [(True, ("bf16", "fp32")), (False, ("fp32",)), (None, ("fp32", "bf16"))],
)
@pytest.mark.usefixtures("use_openvino")
def test_openvino_offers_bf16_unless_the_processor_lacks_it(
    monkeypatch: pytest.MonkeyPatch, bf16: bool | None, precisions: tuple[str, ...]
) -> None:
    monkeypatch.setattr(devices, "has_bf16", lambda: bf16)
    finding = check("openvino")
    assert finding == devices.Finding("openvino", True, "OpenVINO 2026.4.1", None, precisions)


@pytest.mark.parametrize(("fastest", "default"), [("bf16", "bf16"), ("fp32", "fp32"), ("", "bf16")])
@pytest.mark.usefixtures("use_openvino")
def test_openvino_defaults_to_the_precision_that_the_trial_found_faster(
    monkeypatch: pytest.MonkeyPatch, fastest: str, default: str
) -> None:
    """A trial that failed has not measured; who asks for OpenVINO all the same gets bf16."""
    monkeypatch.setattr(devices, "has_bf16", lambda: True)
    monkeypatch.setattr(openvino_probe, "_known", lambda: Trial(None, fastest))
    assert resolve("openvino") == Provider("openvino", default)
    assert resolve("openvino", "bf16") == Provider("openvino", "bf16")


@pytest.mark.usefixtures("use_openvino")
def test_openvino_that_does_not_start_or_finds_no_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices, "core", lambda: SimpleNamespace(available_devices=["GPU"]))
    assert check("openvino").detail == "OpenVINO 2026.4.1 finds no processor that it can use"

    def failing() -> None:
        raise RuntimeError("libtbb.so.12: cannot open\nstack trace")

    monkeypatch.setattr(devices, "core", failing)
    finding = check("openvino")
    assert finding.detail == "OpenVINO does not start (libtbb.so.12: cannot open)"
    assert not finding.usable


@pytest.mark.parametrize(("precision", "hint"), [("bf16", "bf16"), ("fp32", "f32")])
def test_openvino_is_always_told_the_precision(precision: str, hint: str) -> None:
    told = properties(precision, 3)
    assert (told["INFERENCE_PRECISION_HINT"], told["INFERENCE_NUM_THREADS"]) == (hint, 3)


# --- Reports ----------------------------------------------------------------------------------

# What a program finds that imports OpenVINO through this module, and then by itself.
IMPORTS = """
import sys
from nstbatch.runtime.devices.openvino import openvino
package = openvino()
import openvino as again
assert again is package
from openvino import convert_model
from openvino.tools.ovc import telemetry
print(type(telemetry).__module__, "openvino_telemetry" in sys.modules)
"""


def test_openvino_reports_nothing() -> None:
    """Imported alone, it sends an event to Google Analytics."""
    pytest.importorskip("openvino_telemetry")
    program = [sys.executable, "-c", IMPORTS]
    run = subprocess.run(program, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["openvino.tools.ovc.telemetry_stub", "False"]


def test_who_imported_openvino_before_decides_about_its_reports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    openvino.openvino.cache_clear()
    theirs = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "openvino", theirs)
    assert openvino.openvino() is theirs
    openvino.openvino.cache_clear()
