import importlib.metadata
import json
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from nstbatch.runtime.devices import devices, provider_options, providers
from nstbatch.runtime.devices.providers import Provider, check, resolve, within_reach
from nstbatch.runtime.errors import ProviderError, UnknownNameError

USABLE = [
    (finding.device, precision)
    for finding in map(check, providers.DEVICES[1:])
    for precision in finding.precisions
]


def small_model() -> bytes:
    """One 3x3 convolution over eight channels, its weights inside."""
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


@pytest.fixture(autouse=True)
def unregistered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every test find out for itself; the real plugin is registered by collection at most."""
    monkeypatch.setattr(devices, "_register_openvino", devices._register_openvino.__wrapped__)


class FakeRuntime:
    """An ONNX Runtime with chosen providers and devices."""

    __version__ = "1.32.0"
    InferenceSession = SimpleNamespace
    OrtHardwareDeviceType = ort.OrtHardwareDeviceType

    def __init__(self, *ep_devices: Any, providers: tuple[str, ...] = ()) -> None:
        self.ep_devices = ep_devices
        self.providers = providers
        self.registered: list[str] = []

    def get_available_providers(self) -> list[str]:
        return [*self.providers, "CPUExecutionProvider"]

    def get_ep_devices(self) -> list[Any]:
        return [
            device for device in self.ep_devices if device.ep_name[:3] == "CPU" or self.registered
        ]

    def register_execution_provider_library(self, name: str, path: str) -> None:
        self.registered.append(name)


def ep_device(ep_name: str, kind: str = "CPU", vendor: str = "Intel") -> SimpleNamespace:
    device = SimpleNamespace(type=getattr(ort.OrtHardwareDeviceType, kind), vendor=vendor)
    return SimpleNamespace(ep_name=ep_name, device=device)


def use(monkeypatch: pytest.MonkeyPatch, runtime: FakeRuntime) -> FakeRuntime:
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    plugin = SimpleNamespace(get_ep_name=lambda: "OpenVINO", get_library_path=lambda: "plugin.so")
    monkeypatch.setitem(sys.modules, "onnxruntime_ep_openvino", plugin)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.8.1")
    return runtime


INTEL = (
    ep_device("CPUExecutionProvider"),
    ep_device("OpenVINOExecutionProvider"),
    ep_device("OpenVINOExecutionProvider.AUTO"),
    ep_device("OpenVINOExecutionProvider", "GPU"),
)


# ---- what runs here ---------------------------------------------------------------------------


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
    assert (found.device, found.precision) in USABLE


@pytest.mark.parametrize("device", providers.DEVICES[1:])
def test_what_check_says_is_what_resolve_does(device: str) -> None:
    finding = check(device)
    if finding.usable:
        assert resolve(device).precision == finding.precisions[0]
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
    patient = Provider("cpu", "fp32").session_options(spinning=False)
    assert patient.intra_op_num_threads == 4
    assert patient.get_session_config_entry(key) == "0"


# ---- refusals ---------------------------------------------------------------------------------


def test_unknown_names_list_the_right_ones() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'cuda'"):
        resolve("cudda")
    with pytest.raises(UnknownNameError, match="auto, fp32, bf16, fp16"):
        resolve("cpu", "int8")
    with pytest.raises(UnknownNameError, match="cpu, openvino, cuda, tensorrt"):
        check("auto")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_the_processor_has_fp32_only(precision: str) -> None:
    with pytest.raises(ProviderError, match=f"'cpu' computes in fp32 here, not in {precision}"):
        resolve("cpu", precision)


def test_auto_says_of_every_device_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        providers, "check", lambda device: devices.Finding(device, False, f"no {device}", "fix it")
    )
    with pytest.raises(ProviderError) as raised:
        resolve("auto")
    assert [line.split("'")[1] for line in str(raised.value).splitlines()] == list(
        providers.AUTO_ORDER
    )


def test_auto_goes_on_to_a_device_with_the_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    possible = {"cuda": ("fp16", "fp32"), "openvino": ("bf16", "fp32"), "cpu": ("fp32",)}
    monkeypatch.setattr(
        providers, "check", lambda device: devices.Finding(device, True, "", None, possible[device])
    )
    assert resolve("auto", "bf16") == Provider("openvino", "bf16")
    assert resolve("auto") == Provider("cuda", "fp16")


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
    assert finding.fix.startswith("pip uninstall -y onnxruntime ")


def test_a_session_that_fell_back_is_refused() -> None:
    session = open_session(Provider("cpu", "fp32"))
    with pytest.raises(
        ProviderError, match="asked to run on CUDAExecutionProvider and runs on CPU"
    ):
        providers.assert_on_device(session, Provider("cuda", "fp16"))


def test_a_provider_without_nodes_is_refused() -> None:
    session = SimpleNamespace(
        get_providers=lambda: ["OpenVINOExecutionProvider", "CPUExecutionProvider"],
        get_provider_graph_assignment_info=lambda: [
            SimpleNamespace(ep_name="CPUExecutionProvider")
        ],
    )
    with pytest.raises(ProviderError, match="took no part of the graph"):
        providers.assert_on_device(session, Provider("openvino", "bf16"))


# ---- OpenVINO ---------------------------------------------------------------------------------


def test_openvino_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeRuntime(*INTEL))
    monkeypatch.setitem(sys.modules, "onnxruntime_ep_openvino", None)
    monkeypatch.setattr(devices.platform, "system", lambda: "Linux")
    monkeypatch.setattr(devices.platform, "machine", lambda: "x86_64")
    with pytest.raises(ProviderError, match="pip install 'onnxruntime-ep-openvino"):
        resolve("openvino")
    monkeypatch.setattr(devices.platform, "machine", lambda: "aarch64")
    finding = check("openvino")
    assert (finding.detail, finding.fix) == (
        "there is no onnxruntime-ep-openvino for Linux aarch64",
        None,
    )


def test_an_old_runtime_has_neither_plugins_nor_ways_to_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(
        sys.modules,
        "onnxruntime",
        SimpleNamespace(
            __version__="1.20.0",
            InferenceSession=None,
            get_available_providers=lambda: ["OpenVINOExecutionProvider"],
        ),
    )
    finding = check("openvino")
    assert finding.detail == "ONNX Runtime 1.20.0 is too old for it"
    assert finding.fix == devices.INSTALL_CPU


@pytest.mark.parametrize(
    ("bf16", "precisions"),
    [(True, ("bf16", "fp32")), (False, ("fp32",)), (None, ("fp32", "bf16"))],
)
def test_openvino_defaults_to_bf16_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, bf16: bool | None, precisions: tuple[str, ...]
) -> None:
    runtime = use(monkeypatch, FakeRuntime(*INTEL))
    monkeypatch.setattr(devices, "has_bf16", lambda: bf16)
    finding = check("openvino")
    assert (finding.usable, finding.precisions) == (True, precisions)
    assert runtime.registered == ["OpenVINO"]
    check("openvino")
    assert runtime.registered == ["OpenVINO"]  # once per process
    assert [found.device.type for found in provider_options.openvino_devices()] == [
        ort.OrtHardwareDeviceType.CPU
    ]


@pytest.mark.parametrize(
    ("machine", "python", "bf16", "packages", "fix"),
    [
        ("x86_64", (3, 13), True, ("onnxruntime",), devices.INSTALL_AMD),
        ("x86_64", (3, 13), False, ("onnxruntime",), None),  # in fp32 there is nothing to gain
        ("aarch64", (3, 13), True, ("onnxruntime",), None),  # there is no wheel
        ("x86_64", (3, 14), True, ("onnxruntime",), None),  # likewise
        ("x86_64", (3, 13), True, ("onnxruntime-gpu",), None),  # CUDA would be gone
    ],
)
def test_openvino_on_another_makers_processor(
    monkeypatch: pytest.MonkeyPatch,
    machine: str,
    python: tuple[int, int],
    bf16: bool,
    packages: tuple[str, ...],
    fix: str | None,
) -> None:
    use(monkeypatch, FakeRuntime(ep_device("CPUExecutionProvider", vendor="AMD")))
    monkeypatch.setattr(devices, "has_bf16", lambda: bf16)
    monkeypatch.setattr(devices, "_is_installed", lambda name: name in packages)
    monkeypatch.setattr(devices.sys, "version_info", python)
    monkeypatch.setattr(devices.platform, "system", lambda: "Linux")
    monkeypatch.setattr(devices.platform, "machine", lambda: machine)
    with pytest.raises(ProviderError, match=r"serves Intel processors only .* from AMD"):
        resolve("openvino")
    assert check("openvino").fix == fix


def test_a_device_is_tried_with_one_relu() -> None:
    text = '<ir_version: 10, opset_import: ["": 20]> probe (float[1] x) => (float[1] y) '
    assert onnx.parser.parse_model(text + "{ y = Relu(x) }").SerializeToString() == devices.RELU


def with_openvino_inside(monkeypatch: pytest.MonkeyPatch, session: Any) -> FakeRuntime:
    """An ONNX Runtime that was built with OpenVINO, on a processor that its plugin refuses."""
    amd = ep_device("CPUExecutionProvider", vendor="AMD")
    runtime = use(monkeypatch, FakeRuntime(amd, providers=("OpenVINOExecutionProvider",)))
    monkeypatch.setattr(devices, "has_bf16", lambda: True)
    monkeypatch.setattr(devices, "_probe", devices._probe.__wrapped__)
    monkeypatch.setattr(runtime, "InferenceSession", lambda *_, **__: session)
    monkeypatch.setattr(runtime, "SessionOptions", FakeOptions, raising=False)
    return runtime


class FakeOptions:
    """Session options that remember which providers were added, and how."""

    def __init__(self) -> None:
        self.added: list[tuple[str, dict[str, str]]] = []

    def add_provider(self, name: str, options: dict[str, str]) -> None:
        self.added.append((name, options))

    def add_provider_for_devices(self, found: list[Any], options: dict[str, str]) -> None:
        self.added.append((found[0].ep_name, options))


def test_openvino_inside_onnxruntime_needs_no_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    session = SimpleNamespace(get_providers=lambda: ["OpenVINOExecutionProvider"])
    runtime = with_openvino_inside(monkeypatch, session)
    assert resolve("openvino") == Provider("openvino", "bf16")
    assert check("openvino").detail == "built into ONNX Runtime 1.32.0"
    assert runtime.registered == []
    options = FakeOptions()
    provider_options.add_provider(options, "openvino", precision="bf16", threads=3)
    ((name, chosen),) = options.added
    assert (name, chosen.pop("device_type")) == ("OpenVINOExecutionProvider", "CPU")
    assert chosen == provider_options.openvino_options("bf16", 3)


def test_a_registered_plugin_is_not_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime lists it among its providers all the same."""
    runtime = use(monkeypatch, FakeRuntime(*INTEL, providers=("OpenVINOExecutionProvider",)))
    runtime.registered.append("OpenVINO")
    assert not provider_options.openvino_is_built_in()
    options = FakeOptions()
    provider_options.add_provider(options, "openvino", precision="fp32", threads=1)
    assert options.added == [
        ("OpenVINOExecutionProvider", provider_options.openvino_options("fp32", 1))
    ]


def test_openvino_inside_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    with_openvino_inside(monkeypatch, SimpleNamespace(get_providers=lambda: ["CPU"]))
    finding = check("openvino")
    assert finding.detail == "ONNX Runtime could not load it and fell back to the processor"
    assert not finding.usable


def test_a_plugin_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = use(monkeypatch, FakeRuntime(*INTEL))

    def register(name: str, path: str) -> None:
        raise RuntimeError("libtbb.so.12: cannot open\nstack trace")

    monkeypatch.setattr(runtime, "register_execution_provider_library", register)
    finding = check("openvino")
    assert finding.detail == "its plugin does not load (libtbb.so.12: cannot open)"


@pytest.mark.parametrize(("precision", "hint"), [("bf16", "bf16"), ("fp32", "f32")])
def test_openvino_is_always_told_the_precision(precision: str, hint: str) -> None:
    options = provider_options.openvino_options(precision, 3)
    assert json.loads(options["load_config"]) == {
        "CPU": {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": "3"}
    }


# ---- CUDA and TensorRT ------------------------------------------------------------------------


class FakeDriver:
    """libcuda with so many GPUs, or with an error."""

    def __init__(self, gpus: int, status: int = 0) -> None:
        self.gpus = gpus
        self.status = status

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.status

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self.gpus
        return 0


def with_driver(monkeypatch: pytest.MonkeyPatch, driver: FakeDriver | None) -> None:
    def load(name: str) -> FakeDriver:
        if driver is None:
            raise OSError(name)
        return driver

    monkeypatch.setattr(devices.ctypes, "CDLL", load)
    monkeypatch.setattr(devices.sys, "platform", "linux")


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_no_nvidia_driver(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    with_driver(monkeypatch, None)
    with pytest.raises(ProviderError, match=r"libcuda\.so\.1 .*pip install 'onnxruntime-gpu"):
        resolve(device)


def test_a_driver_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    with_driver(monkeypatch, FakeDriver(gpus=0))
    assert check("cuda").detail == "NVIDIA's driver finds no GPU (CUDA error 0)"
    with_driver(monkeypatch, FakeDriver(gpus=1, status=100))
    assert check("cuda").detail == "NVIDIA's driver finds no GPU (CUDA error 100)"


def test_a_gpu_and_the_processors_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    with_driver(monkeypatch, FakeDriver(gpus=1))
    use(monkeypatch, FakeRuntime())
    monkeypatch.setattr(devices, "_is_installed", lambda name: name == "onnxruntime")
    finding = check("cuda")
    assert finding.detail == "the installed ONNX Runtime 1.32.0 was built without it"
    assert finding.fix == devices.INSTALL_GPU


def test_a_double_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with_driver(monkeypatch, FakeDriver(gpus=1))
    use(monkeypatch, FakeRuntime())
    monkeypatch.setattr(
        devices, "_is_installed", lambda name: name in ("onnxruntime", "onnxruntime-gpu")
    )
    assert providers.conflicting_packages() == ("onnxruntime", "onnxruntime-gpu")
    with pytest.raises(
        ProviderError, match="onnxruntime and onnxruntime-gpu are installed together"
    ):
        resolve("cuda")


def test_tensorrt_without_its_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    with_driver(monkeypatch, FakeDriver(gpus=1))
    use(monkeypatch, FakeRuntime(providers=("TensorrtExecutionProvider",)))
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(ProviderError, match="'tensorrt-cu13>=10"):
        resolve("tensorrt")


def test_a_cuda_session_that_does_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    # This very runtime, made to claim a provider that it cannot load.
    with_driver(monkeypatch, FakeDriver(gpus=1))
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ort, "preload_dlls", lambda: None)
    monkeypatch.setattr(devices, "_probe", devices._probe.__wrapped__)

    def refuse(options: Any, device: str, **others: Any) -> None:
        raise RuntimeError("libcudnn.so.9: cannot open shared object file")

    monkeypatch.setattr(devices, "add_provider", refuse)
    with pytest.raises(ProviderError, match=r"libcudnn\.so\.9"):
        resolve("cuda")


def test_a_cuda_session_that_is_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    with_driver(monkeypatch, FakeDriver(gpus=1))
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ort, "preload_dlls", lambda: None)
    monkeypatch.setattr(devices, "_probe", devices._probe.__wrapped__)
    monkeypatch.setattr(devices, "add_provider", lambda options, device, **others: None)
    with pytest.raises(ProviderError, match="fell back to the processor"):
        resolve("cuda")


def test_a_gpu_computes_in_fp16_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    with_driver(monkeypatch, FakeDriver(gpus=1))
    session = SimpleNamespace(get_providers=lambda: ["CUDAExecutionProvider"])
    runtime = use(monkeypatch, FakeRuntime(providers=("CUDAExecutionProvider",)))
    monkeypatch.setattr(runtime, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(runtime, "SessionOptions", SimpleNamespace, raising=False)
    monkeypatch.setattr(runtime, "InferenceSession", lambda *_, **__: session)
    monkeypatch.setattr(devices, "_probe", devices._probe.__wrapped__)
    monkeypatch.setattr(devices, "add_provider", lambda options, device, **others: None)
    assert resolve("cuda") == Provider("cuda", "fp16")
    assert resolve("cuda", "fp32") == Provider("cuda", "fp32")
    with pytest.raises(ProviderError, match="computes in fp16 and fp32 here, not in bf16"):
        resolve("cuda", "bf16")


def test_cuda_is_told_the_layout_and_whether_to_record() -> None:
    halved = provider_options.cuda_options("fp16", captured=True)
    full = provider_options.cuda_options("fp32", captured=False)
    assert (halved["prefer_nhwc"], halved["enable_cuda_graph"]) == ("1", "1")
    assert (full["prefer_nhwc"], full["enable_cuda_graph"]) == ("0", "0")
    assert halved["use_tf32"] == full["use_tf32"] == "0"
    assert halved["cudnn_conv_use_max_workspace"] == "1"


def test_tensorrt_keeps_engines_only_under_a_key(tmp_path: Path) -> None:
    options = provider_options.tensorrt_options(None, tmp_path)
    assert options["trt_timing_cache_path"] == str(tmp_path)
    assert "trt_engine_cache_enable" not in options
    options = provider_options.tensorrt_options("nstbatch_42", tmp_path)
    assert options["trt_engine_cache_prefix"] == "nstbatch_42"
    assert options["trt_engine_cache_path"] == str(tmp_path)


def test_tensorrt_keeps_nothing_without_a_folder() -> None:
    assert provider_options.tensorrt_options("nstbatch_42", None) == {}


@pytest.mark.parametrize(
    ("gpus", "bf16", "built_with", "found"),
    [
        (1, True, (), "cuda"),
        (0, True, (), "openvino"),
        (None, True, (), "openvino"),  # there is no driver
        (0, False, (), None),  # in fp32 there is nothing to gain
        (0, None, (), None),
        (0, True, ("OpenVINOExecutionProvider",), None),
    ],
)
def test_what_is_faster_and_within_reach(
    monkeypatch: pytest.MonkeyPatch,
    gpus: int | None,
    bf16: bool | None,
    built_with: tuple[str, ...],
    found: str | None,
) -> None:
    with_driver(monkeypatch, None if gpus is None else FakeDriver(gpus=gpus))
    use(monkeypatch, FakeRuntime(providers=built_with))
    monkeypatch.setattr(devices, "has_bf16", lambda: bf16)
    monkeypatch.setattr(devices, "_probe", lambda *_: None)
    monkeypatch.setitem(sys.modules, "onnxruntime_ep_openvino", None)
    missing = within_reach()
    assert (None if missing is None else missing.device) == found
    assert missing is None or (missing.usable, missing.fix is None) == (False, False)


def test_nothing_is_faster_than_a_gpu_that_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with_driver(monkeypatch, FakeDriver(gpus=1))
    runtime = use(monkeypatch, FakeRuntime(providers=("CUDAExecutionProvider",)))
    monkeypatch.setattr(runtime, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(devices, "has_bf16", lambda: True)
    monkeypatch.setattr(devices, "_probe", lambda *_: None)
    assert within_reach() is None


def test_an_engine_key_depends_on_everything() -> None:
    shapes = {"image": (1, 3, 64, 64), "weight": (3,)}
    key = providers.engine_key(b"model", shapes, {"precision": "fp16"})
    assert key == providers.engine_key(
        b"model", dict(reversed(shapes.items())), {"precision": "fp16"}
    )
    assert key != providers.engine_key(b"other", shapes, {"precision": "fp16"})
    assert key != providers.engine_key(b"model", shapes, {"precision": "fp32"})
    assert key != providers.engine_key(
        b"model", {**shapes, "image": (1, 3, 64, 96)}, {"precision": "fp16"}
    )


# ---- the commands -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "command"),
    [
        ("cpu", devices.INSTALL_CPU),
        ("cpu", devices.REINSTALL_CPU),
        ("openvino", devices.INSTALL_OPENVINO),
        ("amd", devices.INSTALL_AMD),
        ("gpu", devices.INSTALL_GPU),
        ("tensorrt", devices.INSTALL_TENSORRT),
    ],
)
def test_the_commands_install_what_the_extras_do(extra: str, command: str) -> None:
    project = tomllib.loads(
        (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    )["project"]
    requirements = project["optional-dependencies"][extra]
    own = [name for name in requirements if ";" not in name and "nstbatch[" not in name]
    assert own
    assert all(f"'{requirement}'" in command for requirement in own)
