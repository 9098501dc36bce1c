"""The effort of a batch, from the options of its verb."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nstbatch.cli.jobs.effort import Effort
from nstbatch.runtime.checks import OWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from nstbatch.cli.jobs.effort import Shape
    from nstbatch.runtime.checks import Own


def effort_of_photos(
    size: int | Own,
    max_size: int | None,
    steps: int,
    memory: Callable[[Shape, int], int | None],
) -> Effort:
    """Return the effort for pictures with the proportions of their photos.

    Args:
        size: Long side of the pictures, or "own".
        max_size: Its upper bound.
        steps: Optimiser steps for each picture.
        memory: See :class:`Effort`.
    """
    from nstbatch.runtime.pictures.sizes import resized_shape

    def shape_of(photo: Shape) -> Shape:
        return resized_shape(*photo, size, max_size)

    return Effort(steps, shape_of, memory, follows_photos=size == OWN or max_size is not None)
