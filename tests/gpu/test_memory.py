"""The memory that ONNX Runtime takes on the stub of a GPU is within 20 % of the estimate.

docs/gpu.md has the table of larger pictures.

    python tests/gpu/test_memory.py MODEL SIDE BATCH OPTIMIZER PRECISION

prints a row of it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from stub_gpu import StubGpu, made_in

pytestmark = pytest.mark.gpu_stub

PROGRAM = Path(__file__).with_name("memory.py")
PEAK = re.compile(r"^malloc \d+ peak (\d+)", re.M)

CASES = [
    ("squeezenet1_1", 256, 1, "adam", "fp16"),
    ("squeezenet1_1", 512, 1, "adam", "fp16"),
    ("vgg16", 256, 1, "adam", "fp16"),
    ("vgg16", 256, 4, "adam", "fp16"),
]


def peak_and_estimate(gpu: StubGpu, *case: str | int) -> tuple[int, int]:
    """The bytes that a style transfer took on the stub at its peak, and the estimate."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder, "trace")
        trace.touch()
        done = subprocess.run(
            [sys.executable, str(PROGRAM), *map(str, case)],
            env=gpu.environment(trace),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return max(map(int, PEAK.findall(trace.read_text()))), int(done.stdout)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_estimate_is_within_a_fifth(gpu: StubGpu, case: tuple[str | int, ...]) -> None:
    peak, estimate = peak_and_estimate(gpu, *case)
    assert estimate == pytest.approx(peak, rel=0.2)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        found = [each / 2**20 for each in peak_and_estimate(made_in(Path(place)), *sys.argv[1:])]
    print("| " + " | ".join(sys.argv[1:]) + f" | {found[0]:.0f} | {found[1]:.0f} |")
