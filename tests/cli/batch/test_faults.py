"""Faults that end a batch, and faults that get a second try."""

import errno
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nstbatch.cli.batch.faults import end_of_batch, resilient
from nstbatch.cli.jobs.painting import BatchStoppedError
from nstbatch.cli.jobs.plan import Job
from nstbatch.runtime.devices.out_of_memory import is_out_of_memory
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.errors import ImageError, NonFiniteError, UsageError

JOB = Job(Path("a.jpg"), Path("out/a.jpg"))


class FailError(Exception):
    """ONNX Runtime's errors derive from Exception directly."""


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "out"), "No space left on device: out."),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "Disk quota exceeded."),
        (OSError(errno.EFBIG, "File too large"), "File too large"),
        (caused(ImageError("cannot be written"), OSError(errno.ENOSPC, "No space")), "No space."),
        (BatchStoppedError("The output folder is gone."), "The output folder is gone."),
        (FailError("CUDA failure 719: unspecified launch failure ; GPU=0"), "The device is gone"),
        (FailError("CUDA failure 100: no CUDA-capable device is detected"), "The device is gone"),
        (FailError("[GPU] CL_DEVICE_NOT_AVAILABLE"), "The device is gone"),
    ],
)
def test_these_stop_the_batch(error, reason):
    assert reason in end_of_batch(error)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "Input/output error"),
        ImageError("The file is called 'CUDA failure 719'."),
        caused(ImageError("cannot be read"), OSError(errno.EACCES, "Permission denied")),
        FailError("CUDA failure 2: out of memory"),
        FailError("CUDA failure 7190: no such thing"),
        MemoryError(),
    ],
)
def test_these_are_one_photo_s_own(error):
    assert end_of_batch(error) is None


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (MemoryError(), True),
        (FailError("Failed to allocate memory for requested buffer of size 8589934592"), True),
        (FailError("std::bad_alloc"), True),
        (FailError("CUDA failure 2: out of memory"), True),
        (RuntimeError("Failed to allocate 23840256 bytes of memory"), True),
        (RuntimeError("Failed to reserve memory for LazyBuffer. Error: 12"), True),
        (RuntimeError("Resource temporarily unavailable"), True),
        (RuntimeError("cannot find the library"), False),
        (caused(RuntimeError("wrapped"), MemoryError()), True),
        (ImageError("out of memory.jpg is no picture"), False),
        (FailError("Conv failed"), False),
    ],
)
def test_out_of_memory_is_recognised(error, is_it):
    assert is_out_of_memory(error) is is_it


# ---- a second try -----------------------------------------------------------------------------


@dataclass
class Engine:
    provider: Provider = field(default_factory=lambda: Provider("openvino", "bf16"))
    calls: list[str] = field(default_factory=list)

    def use_less_memory(self, has_tiles=False):
        self.calls.append("fewer")

    @contextmanager
    def in_fp32(self):
        self.calls.append("fp32")
        yield
        self.calls.append("back")


def tried(engine, *results):
    """Paint with a painter that returns or raises these results in turn."""
    left = list(results)

    def painter(job, progress, stop):
        engine.calls.append("tried")
        result = left.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    return resilient(painter, engine)(JOB, None, None)


def test_nothing_is_done_where_nothing_is_wrong():
    engine = Engine()
    assert tried(engine, "painting") == "painting"
    assert engine.calls == ["tried"]


def test_out_of_memory_is_tried_once_more_with_less_kept():
    engine = Engine()
    assert tried(engine, MemoryError(), "painting") == "painting"
    assert engine.calls == ["tried", "fewer", "tried"]
    with pytest.raises(MemoryError):
        tried(Engine(), MemoryError(), MemoryError(), "never")


def test_a_loss_that_is_not_finite_is_tried_once_more_in_fp32():
    engine = Engine()
    assert tried(engine, NonFiniteError("nan"), "painting") == "painting"
    assert engine.calls == ["tried", "fp32", "tried", "back"]
    with pytest.raises(NonFiniteError):
        tried(Engine(), NonFiniteError("nan"), NonFiniteError("nan"), "never")


def test_a_run_in_fp32_is_not_tried_again_in_fp32():
    engine = Engine(Provider("cpu", "fp32"))
    with pytest.raises(NonFiniteError):
        tried(engine, NonFiniteError("nan"), "never")
    assert engine.calls == ["tried"]


@pytest.mark.parametrize("error", [UsageError("no such layer"), ImageError("empty")])
def test_other_errors_are_not_tried_again(error):
    engine = Engine()
    with pytest.raises(type(error)):
        tried(engine, error, "never")
    assert engine.calls == ["tried"]
