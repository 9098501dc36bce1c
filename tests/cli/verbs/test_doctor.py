import re
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from nstbatch.cli.console import device_list
from nstbatch.cli.main import run
from nstbatch.runtime import scratch, telemetry
from nstbatch.runtime.devices import devices, openvino_probe, providers
from nstbatch.runtime.devices.providers import Finding
from nstbatch.runtime.devices.trial import Trial
from nstbatch.runtime.telemetry import decide


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("NSTBATCH_HOME", str(tmp_path))
    return tmp_path / "bundles"


def test_every_device_is_usable_or_has_a_reason(capsys):
    assert run(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for device in ("cpu", "openvino", "cuda", "tensorrt", "tensorrt-rtx"):
        finding = providers.check(device)
        (line,) = [line for line in lines[: lines.index("Models")] if line.split()[:1] == [device]]
        assert line.split()[1] == ("usable" if finding.usable else "no")
        assert finding.detail in line
        assert finding.fix is None or f"      to change that: {finding.fix}" in lines
    (runtime,) = filter(devices._is_installed, devices.RUNTIME_PACKAGES)
    assert f"  {runtime} {version(runtime)}" in lines
    assert f"  nstbatch {version('nstbatch')}" in lines
    assert any(f"{providers.available_cores()} core" in line for line in lines)


def test_devices_are_tried_anew_and_the_reason_against_them_is_shown(monkeypatch, capsys):
    usable = Finding("openvino", True, "OpenVINO 2026.4.1", None, ("bf16", "fp32"))
    monkeypatch.setattr(providers, "check", lambda device: replace(usable, device=device))
    for device, trial in providers.TRIALS.items():
        monkeypatch.setattr(trial, "try_now", lambda device=device: f"its {device} is wrong")
    assert run(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for device in ("openvino", "cuda"):
        assert lines.count(f"      not taken by --device auto: its {device} is wrong") == 1


def test_the_default_precision_comes_first(monkeypatch):
    finding = Finding("openvino", True, "1.8.1", None, ("bf16", "fp32"))
    monkeypatch.setattr(openvino_probe, "_known", lambda: Trial(None, "bf16"))
    assert device_list._describe(finding) == "bf16 by default, fp32 (1.8.1)"
    monkeypatch.setattr(openvino_probe, "_known", lambda: Trial(None, "fp32"))
    assert device_list._describe(finding) == "fp32 by default, bf16 (1.8.1)"


def test_models_are_checked(home, capsys):
    (home / "broken").mkdir(parents=True)
    (home / "broken" / "bundle.json").write_text("{")
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "  vgg16: intact\n" in out
    assert "  broken: " in out
    assert "  broken: intact" not in out


def test_the_cache_and_the_file_of_defaults_are_shown(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "nstbatch"
    (folder / "openvino").mkdir(parents=True)
    (folder / "openvino" / "compiled").write_bytes(bytes(3_000_000))
    monkeypatch.setenv("NSTBATCH_CACHE", str(tmp_path))
    monkeypatch.setenv("NSTBATCH_DEFAULTS", str(tmp_path / "mine.toml"))
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    assert f"Cache\n  {folder}: 3 MB\n" in out
    assert f"Your defaults\n  {tmp_path / 'mine.toml'}, which does not exist yet\n" in out
    monkeypatch.setenv("NSTBATCH_CACHE", "off")
    monkeypatch.setenv("NSTBATCH_DEFAULTS", "")
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "Cache\n  switched off by $NSTBATCH_CACHE\n" in out
    assert "Your defaults\n  switched off by $NSTBATCH_DEFAULTS\n" in out


def test_packages_that_break_each_other_are_named(monkeypatch, capsys):
    mixed = ("onnxruntime", "onnxruntime-gpu")
    monkeypatch.setattr(providers, "conflicting_packages", lambda: mixed)
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "WARNING: onnxruntime and onnxruntime-gpu overwrite each other's files." in out
    assert "-m pip uninstall -y onnxruntime onnxruntime-gpu" in out


def test_what_is_absent_is_said_to_be(monkeypatch, capsys):
    lines = ["no-such-package>=2", "pytest>=8; extra == 'test'"]
    monkeypatch.setattr("importlib.metadata.requires", lambda name: lines)
    assert run(["doctor"]) == 0
    assert "  no-such-package: not installed\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({}, "off, by nstbatch; ORT_DISABLE_TELEMETRY=0 would switch them on"),
        ({"ORT_DISABLE_TELEMETRY": "1"}, "off, by $ORT_DISABLE_TELEMETRY=1"),
        ({"ORT_DISABLE_TELEMETRY": "0"}, "ON, by $ORT_DISABLE_TELEMETRY=0"),
    ],
)
def test_reports_to_microsoft_are_off_or_said_to_be_on(environment, line, monkeypatch, capsys):
    monkeypatch.setattr(telemetry, "switch_off", lambda: decide(environment, is_loaded=False))
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    assert f"Privacy\n  ONNX Runtime's reports to Microsoft: {line}\n" in out
    assert "  OpenVINO's reports to Google: off, by nstbatch\n" in out


def test_what_a_picture_takes_is_shown(capsys):
    assert run(["doctor", "--size", "8000x6000"]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("A picture of 8000x6000"))
    rows = {line.split()[0]: line for line in lines[start + 1 :]}
    assert {"network", "vgg16", "squeezenet1_1", "alexnet"} <= set(rows)
    sizes = [float(each) for each in re.findall(r"(\d+\.\d) GB", rows["vgg16"])]
    assert len(sizes) == 3
    assert sizes == sorted(sizes, reverse=True)
    assert not scratch.is_in_use()


@pytest.mark.parametrize("size", ["", "8000", "0x5", "8000x", "1000000x4"])
def test_what_is_no_size_is_refused(size, capsys):
    assert run(["doctor", "--size", size]) == 2
    assert "such as 8000x6000" in capsys.readouterr().err
