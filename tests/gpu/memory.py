"""Transfers a style on the stub of a GPU, and prints the estimate of its memory.

    python memory.py MODEL SIDE BATCH OPTIMIZER PRECISION

It runs in the environment of :class:`stub_gpu.StubGpu`. The pictures of a batch join every size
together, as those of a long batch mostly do; so its memory does not depend on the moment at which
each of them is read.
"""

from __future__ import annotations

import argparse
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from nstbatch.runtime.engine.batching import Batcher, Seat
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.systems.style_transfer import StyleTransfer

# At least one step of each size.
STEPS = 8


def in_step(pictures: int) -> None:
    """Let the pictures of a batch wait for each other before each size."""
    barrier, join = threading.Barrier(pictures), Batcher.join

    def joined(batcher: Batcher, *arguments: Any) -> Seat:
        barrier.wait()
        with _joining:
            seat = join(batcher, *arguments)
        barrier.wait()
        return seat

    Batcher.join = joined  # type: ignore[method-assign]


_joining = threading.Lock()


def main() -> None:
    """Paint, and print the estimate in bytes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("side", type=int)
    parser.add_argument("batch", type=int)
    parser.add_argument("optimizer")
    parser.add_argument("precision")
    asked = parser.parse_args()
    options = StyleTransferOptions(
        size=asked.side, iterations=STEPS, optimizer=asked.optimizer, tolerance=None
    )
    transfer = StyleTransfer(asked.model, device="cuda", precision=asked.precision, threads=1)
    transfer.engine.share(asked.batch)
    in_step(asked.batch)
    rng = np.random.default_rng(0)
    photos = rng.random((asked.batch, asked.side, asked.side, 3), dtype=np.float32)
    style = rng.random((asked.side, asked.side, 3), dtype=np.float32)
    with ThreadPoolExecutor(asked.batch) as threads:
        list(threads.map(lambda photo: transfer(photo, style, options), photos))
    print(transfer.peak_memory(options, (asked.side, asked.side), asked.batch))


if __name__ == "__main__":
    main()
