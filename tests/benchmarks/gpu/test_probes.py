"""Each check finds the fault it is for, on the processor."""

import os
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from nstbatch.benchmarks.gpu import peers, probes
from nstbatch.benchmarks.gpu.probes import (
    CHECKS,
    CheckJob,
    Unrecorded,
    cosine,
    engine_on,
    relative_error,
    run_check,
    serve_check,
)
from nstbatch.runtime.descent.loop import StopReason
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.gpu_graphs import half_precision

JOB = CheckJob("parity-fp16", "cpu", "alexnet", 64, 10, 1, "cpu")


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    """Make graphs anew, since some tests here break how they are made."""
    monkeypatch.setenv("NSTBATCH_CACHE", "off")


def check(name, **changes):
    return CHECKS[name](replace(JOB, name=name, **changes))


def test_fp32_is_pytorchs():
    found = check("parity-fp32")
    assert found.status == "passed"
    assert found.precision == "fp32"
    assert 0 < found.values["gradient_error"] < 1e-5


def test_a_precision_that_is_not_fp32_fails_the_parity(monkeypatch):
    monkeypatch.setattr(probes, "engine_on", lambda job, precision: engine_on(job, "fp16"))
    assert check("parity-fp32").status == "failed"


def test_fp16_is_near_fp32():
    found = check("parity-fp16")
    assert found.status == "passed"
    assert found.values["gradient_cosine"] > 0.999


def test_cotangents_without_a_scale_fail_the_parity(monkeypatch):
    monkeypatch.setattr(half_precision, "LARGEST_COTANGENT", 1e-7)
    assert check("parity-fp16").status == "failed"


@pytest.mark.parametrize("name", ["nan-freedom", "nan-freedom-lbfgs"])
def test_a_long_run_stays_finite(name):
    found = check(name)
    assert found.status == "passed"
    assert found.values["steps"] == 10
    assert found.values["last"] < found.values["first"]


def test_a_loss_that_is_not_finite_fails_the_long_run(monkeypatch):
    monkeypatch.setattr(half_precision, "LARGEST_COTANGENT", np.inf)
    assert check("nan-freedom").status == "failed"


def test_recordings_are_skipped_where_there_are_none():
    found = check("cuda-graphs")
    assert (found.status, found.reason) == ("skipped", "no CUDA graphs are recorded on cpu")
    assert not Unrecorded("cuda", "fp16").captures
    assert Provider("cuda", "fp16").captures


def test_the_checks_with_lbfgs_step_by_lbfgs():
    jobs = {name: replace(JOB, name=name) for name in CHECKS}
    found = {name for name, job in jobs.items() if "LBFGS" in repr(probes._task(job).optimizer)}
    assert found == {name for name in CHECKS if name.endswith("-lbfgs")}


class Recording(Provider):
    """The processor in place of a device that records CUDA graphs."""

    captures = True


@pytest.mark.parametrize("name", ["cuda-graphs", "cuda-graphs-lbfgs"])
@pytest.mark.parametrize(("broken", "status"), [(False, "passed"), (True, "failed")])
def test_recorded_losses_are_compared_with_the_others(monkeypatch, name, broken, status):
    def on_recording(job, precision):
        engine = engine_on(job, precision)
        engine.provider = Recording("cpu", precision)
        return engine

    monkeypatch.setattr(probes, "engine_on", on_recording)
    if broken:  # the recorded passes step twice
        losses = probes._losses
        monkeypatch.setattr(
            probes,
            "_losses",
            lambda descent, steps: losses(descent, steps) * (1 + descent.is_captured),
        )
    assert check(name).status == status


def test_a_check_that_raises_is_one_that_failed():
    found = run_check(replace(JOB, model="squeezenet1_1", size=4))
    assert found.status == "failed"
    assert "needs at least" in found.reason


@pytest.mark.parametrize(
    ("device", "name", "override"),
    [
        ("cuda", "parity-fp32", None),
        ("tensorrt", "parity-fp32", "0"),
        ("tensorrt", "parity-fp16", None),
    ],
)
def test_tf32_is_forbidden_only_where_the_provider_has_no_switch(
    monkeypatch, device, name, override
):
    variable, seen = "NVIDIA_TF32_OVERRIDE", []
    monkeypatch.setenv(variable, "")  # so that it is restored
    monkeypatch.delenv(variable)
    monkeypatch.setattr(probes, "reporting_failures", lambda *_: nullcontext())
    monkeypatch.setitem(CHECKS, name, lambda job: seen.append(os.environ.get(variable)))
    serve_check(SimpleNamespace(send=lambda _: None), replace(JOB, device=device, name=name))
    assert seen == [override]


@pytest.mark.parametrize(
    ("reason", "status"), [(None, "passed"), ("its product is wrong", "failed")]
)
def test_the_trial_of_a_gpu_is_a_check(monkeypatch, reason, status):
    monkeypatch.setattr(probes.gpu_trial, "reason", lambda device: reason)
    found = check("trial", device="cuda")
    assert (found.status, found.reason) == (status, reason)


def test_kernels_are_those_of_a_recorded_step(monkeypatch):
    monkeypatch.setattr(probes, "engine_on", lambda job, precision: engine_on(JOB, precision))
    taken = []

    def profiled(step, steps):
        taken.extend(step() for _ in range(steps))
        return {"launches": 3.0, "ms": 1.0}

    monkeypatch.setattr(peers, "profiled", profiled)
    found = check("kernels", device="cuda")
    assert found.status == "passed"
    assert found.values == {"launches": 3.0, "ms": 1.0}
    assert len(taken) == probes.PROFILED_STEPS


@pytest.mark.parametrize("total", [np.nan, np.inf])
def test_a_short_run_that_is_not_finite_fails(monkeypatch, total):
    result = SimpleNamespace(steps=3, losses={"total": total}, reason=StopReason.FINISHED)
    monkeypatch.setitem(probes.RUNS, "guided-dream", lambda *job: result)
    assert check("guided-dream").status == "failed"


def test_measures():
    a = np.array([3.0, 4.0], np.float32)
    assert relative_error(a, a) == 0
    assert relative_error(np.array([3.0, 5.0], np.float32), a) == pytest.approx(0.2)
    assert cosine(a, 2 * a) == pytest.approx(1)
    assert cosine(a, np.array([-4.0, 3.0], np.float32)) == pytest.approx(0)
