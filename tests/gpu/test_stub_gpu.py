"""Every graph of every verb on ONNX Runtime's real CUDA provider, whose GPU computes nothing.

``python tests/gpu/renew_counts.py`` writes counts.json anew: the launches and bytes of every step
and update, which these tests hold.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import every_graph
import pytest
from renew_counts import COUNTS, PRECISIONS, counts_of, recorded
from stub_gpu import StubGpu

pytestmark = pytest.mark.gpu_stub

CASES = [(precision, name) for precision in PRECISIONS for name, _ in every_graph.runs()]
NAMES = [f"{precision} {name}" for precision, name in CASES]
# How many pictures of a batch step together depends on when their threads come.
COUNTED = [(precision, name) for precision, name in CASES if name != every_graph.BATCH]

Run = Mapping[str, Any]


@pytest.fixture(scope="module")
def found(gpu: StubGpu) -> Mapping[str, Mapping[str, Run]]:
    """The facts of every run, by precision and name."""
    return recorded(gpu)


@pytest.mark.parametrize(("precision", "name"), CASES, ids=NAMES)
def test_a_run_is_placed_whole_and_recorded(
    found: Mapping[str, Mapping[str, Run]], precision: str, name: str
) -> None:
    run = found[precision][name]
    assert run["error"] is None
    assert run["sessions"]
    for session in run["sessions"]:
        assert session["elsewhere"] == []
        assert session["forbidden"] == []
        assert session["is_captured"] == session["is_to_be_captured"]
        if session["is_captured"]:
            assert len(set(session["launches"])) <= 1
            assert session["launches"] or name == every_graph.BATCH


@pytest.mark.parametrize(("precision", "name"), COUNTED)
def test_a_run_takes_no_more_launches_and_bytes(
    found: Mapping[str, Mapping[str, Run]], precision: str, name: str
) -> None:
    held = json.loads(COUNTS.read_text())[precision][name]
    counted = counts_of(found[precision][name])
    assert counted.keys() == held.keys()
    for kind, count in counted.items():
        assert count["launches"] <= held[kind]["launches"]
        assert count["bytes"] <= held[kind]["bytes"]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_batch_of_four_threads_records_each_pass_once(
    found: Mapping[str, Mapping[str, Run]], precision: str
) -> None:
    sessions = found[precision][every_graph.BATCH]["sessions"]
    captured = [one for one in sessions if one["is_captured"]]
    # Which pictures meet in a batch depends on the threads; whichever takes the step, a pass is
    # recorded at most once.
    assert all(one["recordings"] <= one["passes"] for one in captured)
    assert max(one["recordings"] for one in captured) >= 2


def test_a_run_goes_on_if_nothing_can_be_recorded(gpu: StubGpu) -> None:
    runs = recorded(gpu, ["dream alexnet"], ("fp16",), STUB_NO_RECORDING="1")["fp16"]
    assert [run["error"] for run in runs.values()] == [None, None]


MACHINES = [
    {"STUB_DRIVER": "12080"},
    {"STUB_GENERATION": "70", "STUB_NO_CODE": "1"},
    {"STUB_GENERATION": "100", "STUB_NO_CODE": "1"},
    {},  # its convolution is wrong
]


@pytest.mark.parametrize("settings", MACHINES, ids=["driver", "7.0", "10.0", "wrong"])
def test_auto_goes_on_to_the_next_device(gpu: StubGpu, settings: Mapping[str, str]) -> None:
    assert taken_by_auto(gpu, **settings) in ("openvino", "cpu")


@pytest.mark.parametrize("library", ["libcudnn.so.9", "libcublasLt.so.13"])
def test_auto_goes_on_without_a_library(gpu: StubGpu, library: str, tmp_path: Path) -> None:
    assert taken_by_auto(gpu.without(library, tmp_path)) in ("openvino", "cpu")


def test_auto_takes_the_stub_if_its_trial_is_passed(gpu: StubGpu) -> None:
    assert taken_by_auto(gpu, before="gpu_probe.COMMAND = (sys.executable, '-c', '')") == "cuda"


def taken_by_auto(gpu: StubGpu, before: str = "", **settings: str) -> str:
    """The device that "auto" takes in a new process that has carried out some Python."""
    program = f"""
import sys
from nstbatch.runtime.devices import gpu_probe
from nstbatch.runtime.devices.providers import resolve
{before}
print(resolve().device)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=gpu.environment(NSTBATCH_CACHE="off", **settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"STUB_DRIVER": "12080"}, "NVIDIA's driver runs CUDA 12.8, and ONNX Runtime needs CUDA 1"),
        ({"STUB_GENERATION": "70"}, "on a GPU of generation 7.0, which its package may not have c"),
        ({"STUB_GENERATION": "100"}, "on a GPU of generation 10.0, which its package may not have"),
        ({"STUB_NO_CODE": "1"}, "ONNX Runtime has no code for this GPU; 1.31 has for the generati"),
        ({}, "not taken by --device auto: its convolution in fp16 is wrong (relative error 1)"),
    ],
    ids=["driver", "7.0", "10.0", "no-code", "wrong"],
)
def test_doctor_says_why_a_gpu_is_not_used(
    gpu: StubGpu, settings: Mapping[str, str], sentence: str
) -> None:
    assert sentence in doctor(gpu, **settings)


@pytest.mark.parametrize("library", ["libcudnn.so.9", "libcublasLt.so.13"])
def test_doctor_names_a_missing_library(gpu: StubGpu, library: str, tmp_path: Path) -> None:
    said = doctor(gpu.without(library, tmp_path))
    assert f"the library {library.rstrip('.0123456789')}" in said
    assert "onnxruntime-gpu[cuda,cudnn]" in said


def doctor(gpu: StubGpu, **settings: str) -> str:
    """What `nstbatch doctor` says of CUDA."""
    done = subprocess.run(
        [sys.executable, "-m", "nstbatch", "doctor"],
        env=gpu.environment(COLUMNS="1000", NSTBATCH_CACHE="off", **settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.partition("  cuda ")[2].partition("  tensorrt ")[0]
