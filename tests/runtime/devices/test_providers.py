"""Providers that can be used here, and refusals of the others."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from nstbatch.runtime.devices import devices, provider_options, providers
from nstbatch.runtime.devices.providers import Provider, check, precisions_here, resolve
from nstbatch.runtime.errors import ProviderError, UnknownNameError

USABLE = [
    (finding.device, precision)
    for finding in map(check, provider_options.EXECUTION_PROVIDERS)
    for precision in finding.precisions
]


def small_model() -> bytes:
    """One 3x3 convolution over eight channels, with its weights in the graph."""
    model = onnx.parser.parse_model(
        """
        <ir_version: 10, opset_import: ["": 20]>
        small (float[1, 8, H, W] image, float[8, 8, 3, 3] weights) => (float[1, 8, H, W] out) {
            convolved = Conv<pads = [1, 1, 1, 1]>(image, weights)
            out = Relu(convolved)
        }
        """
    )
    return model.SerializeToString()


def open_session(provider: Provider, threads: int | None = None) -> ort.InferenceSession:
    options = provider.session_options(threads)
    return ort.InferenceSession(small_model(), options, enable_fallback=0)


def test_the_processor_is_always_usable() -> None:
    assert ("cpu", "fp32") in USABLE


@pytest.mark.parametrize(("device", "precision"), USABLE)
def test_a_session_runs_where_and_as_asked(device: str, precision: str) -> None:
    random = np.random.default_rng(0)
    image = random.standard_normal((1, 8, 16, 16), dtype=np.float32)
    weights = random.standard_normal((8, 8, 3, 3), dtype=np.float32)
    reference = open_session(Provider("cpu", "fp32"))
    (expected,) = reference.run(None, {"image": image, "weights": weights})
    provider = resolve(device, precision)
    session = open_session(provider, threads=1)
    providers.assert_on_device(session, provider)
    assert ort.OrtValue.ortvalue_from_numpy(image, provider.memory, 0).shape() == [1, 8, 16, 16]
    (found,) = session.run(None, {"image": image, "weights": weights})
    assert provider_options.EXECUTION_PROVIDERS[device] in session.get_providers()
    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    # The unit roundoffs: 2^-24, 2^-8 for bf16, 2^-11 for fp16.
    assert error < {"fp32": 1e-6, "bf16": 2**-7, "fp16": 2**-10}[precision]


def test_auto_finds_something_usable() -> None:
    found = resolve()
    assert found.precision in check(found.device).precisions


@pytest.mark.parametrize("device", providers.DEVICES[1:])
def test_what_check_says_is_what_resolve_does(device: str) -> None:
    finding = check(device)
    if finding.usable:
        assert resolve(device).precision == precisions_here(finding)[0]
    else:
        with pytest.raises(ProviderError) as raised:
            resolve(device)
        assert finding.detail in str(raised.value)
        assert (finding.fix or "") in str(raised.value)


def test_threads_go_into_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "available_cores", lambda: 4)
    key = "session.intra_op.allow_spinning"
    alone = Provider("cpu", "fp32").session_options()
    assert alone.intra_op_num_threads == 4
    with pytest.raises(RuntimeError, match=key):  # not set
        alone.get_session_config_entry(key)
    shared = Provider("cpu", "fp32").session_options(threads=2)
    assert shared.intra_op_num_threads == 2
    assert shared.get_session_config_entry(key) == "0"
    assert Provider("cpu", "fp32").session_options(threads=1000).intra_op_num_threads == 4
    patient = Provider("cpu", "fp32").session_options(spinning=False)
    assert patient.intra_op_num_threads == 4
    assert patient.get_session_config_entry(key) == "0"


# --- Refusals ---------------------------------------------------------------------------------


def test_unknown_names_list_the_right_ones() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'cuda'"):
        resolve("cudda")
    with pytest.raises(UnknownNameError, match="auto, fp32, bf16, fp16"):
        resolve("cpu", "int8")
    with pytest.raises(UnknownNameError, match="cpu, openvino, cuda, tensorrt, tensorrt-rtx"):
        check("auto")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_the_processor_has_fp32_only(precision: str) -> None:
    with pytest.raises(ProviderError, match=f"'cpu' computes in fp32 here, not in {precision}"):
        resolve("cpu", precision)


def test_auto_says_of_every_device_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        providers,
        "check",
        lambda device, _: devices.Finding(device, False, f"no {device}", "fix it"),
    )
    with pytest.raises(ProviderError) as raised:
        resolve("auto")
    assert [line.split("'")[1] for line in str(raised.value).splitlines()] == list(
        providers.AUTO_ORDER
    )


def test_auto_goes_on_to_a_device_with_the_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    possible = {"cuda": ("fp16", "fp32"), "openvino": ("bf16", "fp32"), "cpu": ("fp32",)}
    monkeypatch.setattr(
        providers,
        "check",
        lambda device, _: devices.Finding(device, True, "", None, possible[device]),
    )
    reasons = dict.fromkeys(providers.TRIALS)
    for device, trial in providers.TRIALS.items():
        monkeypatch.setattr(trial, "reason_against", lambda device=device: reasons[device])
    monkeypatch.setattr(providers.openvino_probe, "fastest_first", lambda offered: offered)
    assert resolve("auto", "bf16") == Provider("openvino", "bf16")
    assert resolve("auto") == Provider("cuda", "fp16")
    reasons["cuda"] = "its product is wrong"
    assert resolve("auto") == Provider("openvino", "bf16")
    assert resolve("cuda") == Provider("cuda", "fp16")  # who asks for it gets it
    with pytest.raises(ProviderError, match="'cuda' is not trusted here: its product is wrong"):
        resolve("auto", "fp16")


def test_a_gpu_needs_no_plan_of_memory_and_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "add_provider", lambda *_, **__: None)
    heard: list[int] = []
    monkeypatch.setattr(ort, "set_default_logger_severity", heard.append)
    assert Provider("cpu", "fp32").session_options().enable_mem_pattern
    assert heard == []  # the logger belongs to the whole program
    assert not Provider("cuda", "fp16").session_options().enable_mem_pattern
    assert heard == [devices.FATAL_ONLY]


def test_a_session_that_fell_back_is_refused() -> None:
    session = open_session(Provider("cpu", "fp32"))
    with pytest.raises(ProviderError, match="should run on CUDAExecutionProvider, but runs on CPU"):
        providers.assert_on_device(session, Provider("cuda", "fp16"))


def test_a_provider_without_nodes_is_refused() -> None:
    session = SimpleNamespace(
        get_providers=lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
        get_provider_graph_assignment_info=lambda: [
            SimpleNamespace(ep_name="CPUExecutionProvider")
        ],
    )
    with pytest.raises(ProviderError, match="took no node of the graph"):
        providers.assert_on_device(session, Provider("cuda", "fp16"))
