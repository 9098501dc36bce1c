"""GPU memory as NVIDIA's driver reports it, and without a driver."""

import subprocess

from nstbatch.runtime.devices import gpu_memory as module
from nstbatch.runtime.devices.gpu_memory import MEBIBYTE, gpu_memory


def test_the_gpu_is_asked_through_its_driver(monkeypatch):
    asked, named = [], []
    monkeypatch.setattr(module, "identity", lambda gpu: f"GPU-{gpu}")

    def answer(output):
        def run(command, **options):
            asked.append(command[1])
            named.append(command[3:])
            return subprocess.CompletedProcess(command, 0, output, "")

        return run

    monkeypatch.setattr(module.subprocess, "run", answer("1234\n0\n"))
    assert gpu_memory("used") == 1234 * MEBIBYTE
    assert gpu_memory("free", 3) == 1234 * MEBIBYTE
    assert named == [["--id=GPU-0"], ["--id=GPU-3"]]
    assert asked == ["--query-gpu=memory.used", "--query-gpu=memory.free"]
    monkeypatch.setattr(module.subprocess, "run", answer("[N/A]\n"))
    assert gpu_memory("used") is None

    def missing(*args, **kwargs):
        raise FileNotFoundError("nvidia-smi")

    monkeypatch.setattr(module.subprocess, "run", missing)
    assert gpu_memory("free") is None
