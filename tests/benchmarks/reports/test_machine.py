import json
import subprocess

import pytest

from nstbatch.benchmarks.reports import machine
from nstbatch.benchmarks.reports.machine import HARDWARE, describe_machine, differences, is_busy


def test_a_machine_is_described_in_what_json_can_hold():
    found = describe_machine(threads=3)
    assert json.loads(json.dumps(found)) == found
    assert found["threads"] == 3
    assert set(HARDWARE) <= found.keys()
    assert found["packages"]["nstbatch"]
    assert found["processor"]


def test_the_gpu_is_the_first_that_its_driver_names(monkeypatch):
    def answer(*args, **kwargs):
        return subprocess.CompletedProcess(args, 0, "A GPU\nAnother\n", "")

    monkeypatch.setattr(machine.subprocess, "run", answer)
    assert machine._gpu() == "A GPU"


@pytest.mark.parametrize(
    ("load", "cores", "busy"), [(0.1, 2, False), (1.5, 2, True), (1.5, 16, False), (None, 2, False)]
)
def test_a_machine_is_busy_where_others_compute(load, cores, busy):
    assert is_busy({"load": load, "cores": cores}) is busy


def test_machines_are_the_same_whatever_else_they_run():
    before = describe_machine(2)
    after = before | {"load": 9.0, "python": "4", "packages": {}}
    assert differences(before, after) == []
    assert differences(before, after | {"cores": 99}) == [f"cores: {before['cores']} and 99"]
    assert differences(before, {}) != []
