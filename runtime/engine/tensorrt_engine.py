"""TensorRT's engine of a graph: built once, and used again by later runs and other processes.

TensorRT builds an engine when a session opens, for minutes. If several processes want the same one,
the first builds it, and the others wait and read it. **Not run on a GPU yet.**
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from nstbatch.runtime.bundles.manifest import WEIGHTS
from nstbatch.runtime.cache.cache import provider_folder
from nstbatch.runtime.devices.providers import engine_key
from nstbatch.runtime.names import IMAGE

from .ready_graph import ReadyGraph

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TensorRtEngine:
    """The place of an engine.

    Attributes:
        key: The beginning of its files' names.
        folder: Folder of TensorRT's files; None if none are kept.
        picture: The shape of the pictures, (N, 3, H, W), or that of another input.
    """

    key: str
    folder: Path | None
    picture: tuple[int, ...]

    @classmethod
    def of(cls, graph: ReadyGraph) -> TensorRtEngine:
        """Return the place of a graph's engine."""
        picture = graph.shapes.get(IMAGE) or next(iter(graph.shapes.values()))
        return cls(_key(graph), provider_folder("tensorrt"), picture)

    @property
    def is_built(self) -> bool:
        """True if a process has built it."""
        return self.folder is not None and any(self.folder.glob(f"{self.key}*.engine"))

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Open a session in this context: alone, if the engine must be built, and with a word."""
        if self.is_built or self.folder is None:
            with self._told():
                yield
            return
        with FileLock(self.folder / f"{self.key}.lock"), self._told():
            yield

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say that the engine is built, and how long that took; nothing if it is there."""
        if self.is_built:
            yield
            return
        *_, height, width = (1, *self.picture)
        began = time.monotonic()
        log.warning(
            "TensorRT builds an engine for %d x %d pixels, which takes minutes%s.",
            width,
            height,
            "" if self.folder is None else "; later runs use it again",
        )
        yield
        log.warning("TensorRT has built it in %.0f s.", time.monotonic() - began)


def compiled_folder(graph: ReadyGraph) -> Path | None:
    """Return the folder of what TensorRT for RTX compiles for a graph; None if nothing is kept.

    Each graph has one of its own, since the plugin does not say what its files depend on.
    """
    folder = provider_folder("tensorrt-rtx")
    return None if folder is None else folder / _key(graph)


def _key(graph: ReadyGraph) -> str:
    weights = graph.weights_folder
    data = graph.data + (b"" if weights is None else (weights / WEIGHTS).read_bytes())
    return engine_key(data, graph.shapes, {"precision": graph.provider.precision})
