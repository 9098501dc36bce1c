"""Checks on a GPU: the trial, parity, CUDA graphs, kernels, freedom from NaN.

Each check runs in its own process, so a check that crashes or runs out of memory counts as failed.
All except the CUDA graphs also run on the processor, at small sizes. **Not run on a GPU yet.**
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection

import numpy as np

from nstbatch.benchmarks.contest.contestants import objective_of, open_descent, targets_of
from nstbatch.benchmarks.contest.worker import Worker, reporting_failures
from nstbatch.benchmarks.tasks.tasks import AdamSettings, Task, make_task, settings_of
from nstbatch.benchmarks.tasks.turns import ContestantError
from nstbatch.runtime.arrays import Array
from nstbatch.runtime.descent.loop import StopReason, descend
from nstbatch.runtime.descent.optimizers import LBFGS
from nstbatch.runtime.devices import gpu_trial
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.engine.device_descent import Descent
from nstbatch.runtime.engine.engine import Engine

from .verbs import RUNS

# A guess. On the processor the error is 1e-6; TF32 or a wrong layout gives far more.
LARGEST_FP32_ERROR = 2e-4
# docs/decisions/0014-half-precision.md: at worst 0.9996 and 6e-3 for VGG16 with average pooling, on
# the processor. SqueezeNet reaches only 0.9955 and may fail this on a sound GPU.
SMALLEST_FP16_COSINE = 0.999
LARGEST_FP16_LOSS_ERROR = 1e-2
# A guess, for five steps: both runs use the same kernels, unless the search for the fastest kernels
# chose differently.
LARGEST_CAPTURE_ERROR = 1e-3
CAPTURE_STEPS = 5
# Guesses: enough for the mean of kernels of microseconds, and for values to grow.
PROFILED_STEPS = 10
SHORT_STEPS = 20


@dataclass(frozen=True)
class Check:
    """The result of a check."""

    name: str
    device: str
    precision: str
    status: str
    """ "passed", "failed" or "skipped"."""
    reason: str | None = None
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckJob:
    """One check on one device."""

    name: str
    """A key of :data:`CHECKS`."""
    device: str
    model: str
    size: int
    steps: int
    """Number of steps of a long run."""
    threads: int
    peer_device: str


def run_check(job: CheckJob, patience: float | None = None) -> Check:
    """Run a check in its own process; an OutOfTimeError after ``patience`` seconds."""
    try:
        with Worker(serve_check, job) as worker:
            check: Check = worker.answer(patience)
            return check
    except ContestantError as error:
        return failed_check(job, str(error))


def failed_check(job: CheckJob, reason: str) -> Check:
    """The result of a check that could not be made."""
    return Check(job.name, job.device, PRECISIONS[job.name], "failed", reason)


def serve_check(pipe: Connection, job: CheckJob) -> None:
    """The code of the process."""
    if job.device == "tensorrt" and PRECISIONS[job.name] == "fp32":
        # TensorRT uses TF32 by default, and its provider has no switch for it. CUDA's has one, and
        # the check must find out whether it works.
        os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
    with reporting_failures(pipe, job.threads):
        pipe.send(CHECKS[job.name](job))


# --- The checks -------------------------------------------------------------------------------


def parity_with_pytorch(job: CheckJob) -> Check:
    """Compare the losses and the gradient in fp32 with autograd's."""
    try:
        from nstbatch.benchmarks.peers.peers import Peer
    except ImportError as error:
        return _check(job, "skipped", f"PyTorch does not load ({error})")
    task = _task(job)
    losses, gradient = evaluated(task, engine_on(job, "fp32"))
    peer = Peer(task, "torch", job.threads, job.peer_device)
    peer.step()
    values = {
        "loss_error": relative_error(losses, peer.losses),
        "gradient_error": relative_error(gradient, peer.gradient),
    }
    return _judged(job, values, max(values.values()) <= LARGEST_FP32_ERROR)


def parity_of_half(job: CheckJob) -> Check:
    """Compare the losses and the gradient in fp16 with the same device's in fp32."""
    task = _task(job)
    full_losses, full = evaluated(task, engine_on(job, "fp32"))
    half_losses, half = evaluated(task, engine_on(job, "fp16"))
    values = {
        "loss_error": relative_error(half_losses, full_losses),
        "gradient_cosine": cosine(half, full),
    }
    return _judged(
        job,
        values,
        values["loss_error"] <= LARGEST_FP16_LOSS_ERROR
        and values["gradient_cosine"] >= SMALLEST_FP16_COSINE,
    )


def long_run_in_half(job: CheckJob) -> Check:
    """Take many steps in fp16: every loss must be finite, and the last below the first."""
    first: list[float] = []
    descent = _descent(_task(job), engine_on(job, "fp16"))
    outcome = descend(
        descent, job.steps, lambda step, losses: first.append(float(losses.sum())), lambda: False
    )
    values = {"steps": float(outcome.steps), "first": first[0], "last": float(outcome.losses.sum())}
    # A loss that is not finite stays so, and the loop ends at its next check.
    passed = outcome.reason is StopReason.FINISHED and values["last"] < values["first"]
    return _judged(job, values, passed)


def recorded_and_not(job: CheckJob) -> Check:
    """Compare the losses of a few steps with CUDA graphs and without."""
    engine = engine_on(job, "fp16")
    if not engine.provider.captures:
        return _check(job, "skipped", f"no CUDA graphs are recorded on {job.device}")
    task = _task(job)
    descent = _descent(task, engine)
    if not descent.is_captured:
        return _check(job, "failed", "ONNX Runtime refused to record; the log says why")
    recorded = _losses(descent, CAPTURE_STEPS)
    if not descent.is_captured:
        return _check(job, "failed", "a pass could not be recorded; the log says why")
    engine.drop_sessions()
    engine.provider = Unrecorded(engine.provider.device, engine.provider.precision)
    plain = _losses(_descent(task, engine), CAPTURE_STEPS)
    values = {"loss_error": relative_error(recorded, plain)}
    return _judged(job, values, values["loss_error"] <= LARGEST_CAPTURE_ERROR)


def trial(job: CheckJob) -> Check:
    """Compute a convolution and a product in both precisions, and compare them with NumPy's."""
    if job.device == "cpu":
        return _check(job, "skipped", "only GPUs are tried")
    reason = gpu_trial.reason(job.device)
    return _check(job, "passed" if reason is None else "failed", reason)


def kernels_of_a_step(job: CheckJob) -> Check:
    """Measure the kernels of a step in fp16; it passes if there are any."""
    if job.device == "cpu":
        return _check(job, "skipped", "a processor has no kernels")
    try:
        from . import peers
    except ImportError as error:
        return _check(job, "skipped", f"PyTorch does not load ({error})")
    descent = _descent(_task(job), engine_on(job, "fp16"))
    _losses(descent, CAPTURE_STEPS)  # all passes are recorded
    values = peers.profiled(descent.step, PROFILED_STEPS)
    return _judged(job, values, values["launches"] > 0)


def short_run(job: CheckJob) -> Check:
    """Take a few steps of a verb in fp16; it passes if the losses stay finite."""
    on = {"device": job.device, "threads": job.threads}
    on |= {} if job.device == "cpu" else {"precision": PRECISIONS[job.name]}
    result = RUNS[job.name](job.model, job.size, min(job.steps, SHORT_STEPS), on)
    values = {"steps": float(result.steps), "total": result.losses["total"]}
    passed = result.reason is StopReason.FINISHED and math.isfinite(values["total"])
    return _judged(job, values, passed)


# The most telling first: the time on a GPU may be short.
CHECKS: Mapping[str, Callable[[CheckJob], Check]] = {
    "trial": trial,
    "parity-fp16": parity_of_half,
    "parity-fp32": parity_with_pytorch,
    "cuda-graphs": recorded_and_not,
    "cuda-graphs-lbfgs": recorded_and_not,
    "kernels": kernels_of_a_step,
    "kernels-lbfgs": kernels_of_a_step,
    **dict.fromkeys(RUNS, short_run),
    "nan-freedom": long_run_in_half,
    "nan-freedom-lbfgs": long_run_in_half,
}
# They come after the speed of the first case, and after all others.
AFTER_FIRST_CASE = frozenset({"kernels", "kernels-lbfgs"})
AT_THE_END = frozenset({*RUNS, "nan-freedom", "nan-freedom-lbfgs"})
# `stylize` uses L-BFGS by default, which changes its history in place, also within a CUDA graph.
WITH_LBFGS = frozenset(name for name in CHECKS if name.endswith("-lbfgs"))
PRECISIONS = {name: "fp32" if name == "parity-fp32" else "fp16" for name in CHECKS}


class Unrecorded(Provider):
    """A provider that records no CUDA graphs."""

    captures = False


# --- Parts of the checks ----------------------------------------------------------------------


def engine_on(job: CheckJob, precision: str) -> Engine:
    """An engine on the job's device; on the processor too in fp16, which is slow there."""
    if job.device != "cpu":
        return Engine(job.model, device=job.device, precision=precision, threads=job.threads)
    engine = Engine(job.model, device="cpu", threads=job.threads)
    engine.provider = Provider("cpu", precision)
    return engine


def evaluated(task: Task, engine: Engine) -> tuple[Array, Array]:
    """Losses (N, T) of a task's images, and their gradient (N, 3, H, W)."""
    descent = _descent(task, engine)
    losses = descent.evaluate()
    descent.update()
    assert isinstance(task.optimizer, AdamSettings)
    # After the first step, Adam's running mean is (1 - beta1) times the gradient.
    return losses, descent.state["exp_avg"] / np.float32(1 - task.optimizer.betas[0])


def relative_error(found: Array, expected: Array) -> float:
    """Norm of the difference divided by the norm of the expected values."""
    difference = found.astype(np.float64) - expected
    return float(np.linalg.norm(difference) / np.linalg.norm(expected.astype(np.float64)))


def cosine(a: Array, b: Array) -> float:
    """Cosine of the angle between two arrays."""
    one, other = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def _losses(descent: Descent, steps: int) -> Array:
    return np.stack([descent.evaluate(), *(descent.step() for _ in range(steps))])


def _descent(task: Task, engine: Engine) -> Descent:
    objective = objective_of(task)
    targets = targets_of(task, engine, objective)
    return open_descent(task, engine, objective, targets, task.images)


def _task(job: CheckJob) -> Task:
    task = make_task("stylize", job.model, job.size, 1)
    return replace(task, optimizer=settings_of(LBFGS())) if job.name in WITH_LBFGS else task


def _judged(job: CheckJob, values: Mapping[str, float], passed: bool) -> Check:
    return Check(
        job.name, job.device, PRECISIONS[job.name], "passed" if passed else "failed", None, values
    )


def _check(job: CheckJob, status: str, reason: str | None) -> Check:
    return Check(job.name, job.device, PRECISIONS[job.name], status, reason)
