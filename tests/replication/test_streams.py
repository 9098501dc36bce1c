"""One loaded model under load: 16 threads of 20 pictures each, and a stream of 500.

Runs only with ``-m replication``. It prints the memory of the process on the way.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import nstbatch

OPTIONS = nstbatch.StyleTransferOptions(size=64, iterations=4, scales=1)
STYLE = np.random.default_rng(99).random((48, 64, 3), np.float32)
THREADS, EACH, MANY = 16, 20, 500

# Growth of the resident memory between two ends of a run that counts as flat. A picture's arrays
# take 0.2 MB here; 500 of them that were kept would be 100 MB.
FLAT = 20 << 20

pytestmark = pytest.mark.replication


@pytest.fixture(scope="module")
def transfer() -> nstbatch.StyleTransfer:
    return nstbatch.StyleTransfer("squeezenet1_1", device="cpu")


def photo(number: int) -> np.ndarray:
    return np.random.default_rng(number).random((48, 64, 3), np.float32)


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_sixteen_threads_paint_what_one_does(transfer: nstbatch.StyleTransfer) -> None:
    alone = [transfer(photo(number), STYLE, OPTIONS).image for number in range(EACH)]
    seen: list[int] = []

    def paint(thread: int) -> list[np.ndarray]:
        images = []
        for number in range(EACH):
            images.append(transfer(photo(number), STYLE, OPTIONS).image)
            seen.append(resident())
        return images

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(paint, range(THREADS)))
    for images in results:
        np.testing.assert_array_equal(images, alone)
    quarter = len(seen) // 4
    growth = max(seen[-quarter:]) - max(seen[:quarter])
    print({"resident MB": [each >> 20 for each in seen[::40]], "growth": growth})
    assert growth < FLAT


def test_a_long_stream_keeps_its_memory_and_leaves_nothing(
    transfer: nstbatch.StyleTransfer,
) -> None:
    def source() -> Iterator[object]:
        for number in range(MANY):
            yield "missing.jpg" if number % 50 == 7 else photo(number)
        raise OSError("the camera is gone")

    files, seen, failed = open_files(), [], 0
    stream = transfer.map(source(), STYLE, OPTIONS)
    for _ in range(MANY):
        failed += next(stream).error is not None
        seen.append(resident())
    with pytest.raises(OSError, match="camera"):
        next(stream)
    growth = max(seen[-MANY // 4 :]) - max(seen[: MANY // 4])
    print({"resident MB": [each >> 20 for each in seen[::60]], "growth": growth, "failed": failed})
    assert growth < FLAT
    assert failed == MANY // 50
    left = transfer.map(source(), STYLE, OPTIONS)
    next(left)
    left.close()
    gc.collect()
    assert open_files() == files
    assert not [each for each in threading.enumerate() if "nstbatch-stream" in each.name]
