import subprocess
import sys

import pytest

from nstbatch.benchmarks.tasks.memory import peak_resident

MEGABYTE = 2**20


@pytest.mark.skipif(sys.platform == "win32", reason="the peak is not known there")
def test_a_peak_is_of_its_process_and_does_not_fall():
    code = (
        "from nstbatch.benchmarks.tasks.memory import peak_resident; a = peak_resident();"
        f"b = bytearray({200 * MEGABYTE}); b[::4096] = b'1' * len(b[::4096]); del b;"
        "print(a, peak_resident())"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(int, shown.stdout.split())
    assert before < 100 * MEGABYTE  # not the memory of this process, which has numpy and more
    assert 190 * MEGABYTE < after - before < 260 * MEGABYTE


def test_the_peak_is_read_in_bytes(tmp_path):
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmPeak:\t  900 kB\nVmHWM:\t  512 kB\nVmRSS:\t  400 kB\n")
    assert peak_resident(status) == 512 * 1024
    status.write_text("Name:\tpython\n")  # a kernel without it
    assert peak_resident(status) is None


@pytest.mark.skipif(sys.platform == "win32", reason="the peak is not known there")
def test_without_proc_the_peak_is_asked_of_the_system(tmp_path):
    found = peak_resident(tmp_path / "none")
    assert found is not None
    assert 10 * MEGABYTE < found < 2**40
