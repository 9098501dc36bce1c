"""The profiler's averages become milliseconds of a step."""

from types import SimpleNamespace

import pytest

from nstbatch.benchmarks.gpu import kernels
from nstbatch.benchmarks.gpu.kernels import short_name, times_by_kernel

MUL = (
    "void onnxruntime::cuda::_BinaryElementWiseSimple<true, true, __half, __half, __half, "
    "onnxruntime::cuda::OP_Mul<__half, __half, __half>, 256, 4, int>(__half const*, __half*)"
)


def event(key: str, count: int, microseconds: float) -> SimpleNamespace:
    return SimpleNamespace(key=key, count=count, self_device_time_total=microseconds)


def test_times_are_those_of_one_step() -> None:
    events = [event("conv", 20, 4000.0), event(MUL, 40, 1000.0), event("cudaGraphLaunch", 10, 0.0)]
    found = times_by_kernel(events, 10)
    assert found == {
        "launches": 6.0,
        "ms": pytest.approx(0.5),
        "conv": pytest.approx(0.4),
        "_BinaryElementWiseSimple OP_Mul": pytest.approx(0.1),
    }
    assert list(found)[2:] == ["conv", "_BinaryElementWiseSimple OP_Mul"]


def test_short_kernels_are_one_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "MOST_KERNELS", 1)
    events = [event("a", 1, 3000.0), event("b", 1, 2000.0), event("c", 1, 1000.0)]
    found = times_by_kernel(events, 1)
    assert found == {"launches": 3.0, "ms": 6.0, "a": 3.0, "other kernels": 3.0}


@pytest.mark.parametrize(
    ("kernel", "name"),
    [
        (MUL, "_BinaryElementWiseSimple OP_Mul"),
        ("sm90_xmma_fprop_implicit_gemm_f16f16", "sm90_xmma_fprop_implicit_gemm_f16f16"),
        ("(anonymous namespace)::transposeNoOverlap(__half*, int)", "transposeNoOverlap"),
        ("void cudnn::pooling<float>(int)", "pooling"),
    ],
)
def test_names_are_short(kernel: str, name: str) -> None:
    assert short_name(kernel) == name
