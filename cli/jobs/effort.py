"""The work for a batch, as far as it is known before the photos are decoded."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from nstbatch.runtime.checks import OWN, Own

if TYPE_CHECKING:
    from .plan import Job

Shape: TypeAlias = tuple[int, int]
"""Height and width in pixels."""

# Stands for photos if none tells its size: most cameras take photos of 3:2.
TYPICAL_PHOTO: Shape = (4000, 6000)

# Pixels of a step, as a share of those of the result, for the four sizes of a style transfer.
OF_FULL_SIZE = 0.69

# Photos to look at where only their proportions matter; more would not change the estimate.
SAMPLE = 100

# Jobs from which a worker tells the memory that pictures need: more than the processes of a machine
# optimise together. All jobs would be 100 MB for each worker of a batch of a million photos.
HANDED = 1000


@dataclass(frozen=True)
class Effort:
    """The work for the pictures of a batch.

    Attributes:
        steps: Optimiser steps for each picture; None if its time is not known.
        shape_of: Returns the height and width of a picture, given those of its photo.
        memory: Estimates the peak of this process's memory, in bytes, for a height and width and
            so many pictures; on a GPU, of that GPU's. None if nothing is known about it.
        follows_photos: True if the size of a picture depends on that of its photo.
        work: Returns the pixels that the run of a picture goes through, given its height and width;
            None if it is not known at which sizes the steps are.
    """

    steps: int | None
    shape_of: Callable[[Shape], Shape]
    memory: Callable[[Shape, int], int | None] = lambda shape, pictures: None
    follows_photos: bool = False
    work: Callable[[Shape], float] | None = None

    def largest(self, photos: Sequence[Path]) -> Shape:
        """Return the height and width of the largest picture; a square if photos do not matter."""
        if self.follows_photos and photos:
            return max(self.shapes(photos), key=math.prod)
        return self.shape_of((1, 1))

    def is_guessed(self, photos: Sequence[Path]) -> bool:
        """Return True if the size of a picture depends on photos of which none tells its own."""
        from nstbatch.runtime.formats.dimensions import dimensions

        return self.follows_photos and not any(map(dimensions, photos))

    def megapixels(self, shape: Shape, steps: int) -> float:
        """Return the megapixels that so many steps of a picture go through.

        Args:
            shape: Height and width of the picture.
            steps: Number of steps, over all sizes.
        """
        if self.work is None or not self.steps:
            return steps * OF_FULL_SIZE * math.prod(shape) / 1e6
        return self.work(shape) * steps / self.steps / 1e6

    def sample(self, jobs: Sequence[Job]) -> tuple[Job, ...]:
        """Return at most :data:`HANDED` jobs of a batch, the largest picture among them."""
        if len(jobs) <= HANDED:
            return tuple(jobs)
        some = [*jobs[:: -(-len(jobs) // (HANDED - 1))]]
        if self.follows_photos:
            shapes = self.shapes([job.file for job in jobs])
            some.append(jobs[shapes.index(max(shapes, key=math.prod))])
        return tuple(some)

    def shapes(self, photos: Sequence[Path]) -> list[Shape]:
        """Return the height and width of the pictures of these photos, or of a part of them.

        A photo that tells no size, such as an empty file, counts as the largest of the others.
        """
        from nstbatch.runtime.formats.dimensions import dimensions

        apart = 1 if self.follows_photos else -(-len(photos) // SAMPLE) or 1
        found = [dimensions(photo) for photo in photos[::apart]]
        other = max((each for each in found if each), key=math.prod, default=TYPICAL_PHOTO)
        return [self.shape_of(each or other) for each in found]


def effort_of_photos(
    size: int | Own,
    max_size: int | None,
    steps: int,
    memory: Callable[[Shape, int], int | None],
    work: Callable[[Shape], float] | None = None,
) -> Effort:
    """Return the effort for pictures with the proportions of their photos.

    Args:
        size: Long side of the pictures, or "own".
        max_size: Its upper bound.
        steps: Optimiser steps for each picture.
        memory: See :class:`Effort`.
        work: Likewise.
    """
    from nstbatch.runtime.pictures.sizes import resized_shape

    def shape_of(photo: Shape) -> Shape:
        return resized_shape(*photo, size, max_size)

    follows = size == OWN or max_size is not None
    return Effort(steps, shape_of, memory, follows, work)
