"""The contract of the systems that paint a photo in a style, each with options of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol, TypeVar

from nstbatch.runtime.descent.progress import ProgressCallback
from nstbatch.runtime.engine.engine import Engine
from nstbatch.runtime.objectives.terms import Objective
from nstbatch.runtime.pictures.images import ImageLike

from .system import Result

Options = TypeVar("Options", contravariant=True)


class StyleSystem(Protocol[Options]):
    """A bundle on a device, ready to paint."""

    engine: Engine

    def __call__(
        self,
        photo: ImageLike,
        style: ImageLike,
        options: Options | None = None,
        *,
        init_image: ImageLike | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        progress: ProgressCallback | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Result:
        """Paint a photo; see :meth:`.style_transfer.StyleTransfer.__call__`."""

    def objective(self, options: Options) -> Objective:
        """Return the weighted terms of the options; UnknownNameError for an unknown layer."""

    def peak_memory(
        self, options: Options, shape: tuple[int, int], pictures: int = 1
    ) -> int | None:
        """Return the estimated peak of this process's memory; see :mod:`.style_transfer`."""

    def check_style(self, style: ImageLike, options: Options) -> None:
        """Raise the ImageError of any photo: the style is too small for a layer."""
