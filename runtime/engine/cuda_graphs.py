"""CUDA graphs: one recording of a session for each set of buffers.

A CUDA graph is the list of a pass's kernels with the addresses that they read and write, recorded
once and launched as a whole. ONNX Runtime keeps several for one session, by a number in the run
options, and does not check that a number comes with the buffers that it was recorded with. So
each set of addresses gets its own number here. **Not run on a GPU yet.**

The first pass of a number is a warm-up and the recording: ONNX Runtime runs it more than once. All
graphs of this project may be run again over the same buffers, L-BFGS in place among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnxruntime as ort

# ONNX Runtime's kOrtRunOptionsConfigCudaGraphAnnotation (onnxruntime_run_options_config_keys.h);
# -1 records nothing, and 0 is its own.
GRAPH_ID = "gpu_graph_id"
NOT_CAPTURED = -1

# A descent takes up to nine, and the next one of its shape usually gets buffers at the same
# addresses. Recordings are never freed, so there must be a limit.
MOST_CAPTURES = 128


# Passes of a session before its first recording. During one, CUDA forbids more memory; and a second
# pass may find the arena in other pieces than the first, and need more. One was enough for the case
# that was seen (neural neighbours with AlexNet in fp16); two is a guess.
WARM_UP = 2


class Captures:
    """The recordings of one session."""

    def __init__(self) -> None:
        self._ids: dict[tuple[int, ...], int] = {}
        self._left_of_warm_up = WARM_UP

    def of(self, buffers: Iterable[ort.OrtValue]) -> ort.RunOptions:
        """Return run options for a pass over these buffers, inputs and outputs in a fixed order."""
        return _options(self.number(buffer.data_ptr() for buffer in buffers))

    def warm_up(self) -> Iterator[ort.RunOptions]:
        """Yield the options of the passes that the first recording needs before it."""
        while self._left_of_warm_up:
            self._left_of_warm_up -= 1
            yield _options(NOT_CAPTURED)

    def number(self, addresses: Iterable[int]) -> int:
        """Return the number of the recording of these addresses; NOT_CAPTURED above the limit."""
        key = tuple(addresses)
        if key not in self._ids and len(self._ids) >= MOST_CAPTURES:
            return NOT_CAPTURED
        return self._ids.setdefault(key, len(self._ids) + 1)


def _options(number: int) -> ort.RunOptions:
    options = ort.RunOptions()
    options.add_run_config_entry(GRAPH_ID, str(number))
    return options
