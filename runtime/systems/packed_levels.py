"""The sizes of a run whose variables are Laplacian pyramids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.descent.adam import Adam
from nstbatch.runtime.descent.optimizers import State
from nstbatch.runtime.descent.pyramid import Level
from nstbatch.runtime.objectives.laplacian import Laplacian
from nstbatch.runtime.pictures.sizes import resize_batch


@dataclass(frozen=True)
class PackedLevel(Level):
    """One size of a run that moves the values of a Laplacian pyramid."""

    @property
    def pixels(self) -> Level:
        """The size for pictures in pixels."""
        return Level(self.height, self.width, self.margin, self.steps)

    @property
    def laplacian(self) -> Laplacian:
        """The pyramids of pictures of this size, including the margin."""
        return Laplacian(*super().canvas)

    @property
    def canvas(self) -> tuple[int, int]:
        """Height and width of the packed values."""
        return 1, self.laplacian.length

    def fit(self, pixels: Array) -> Array:
        """Resize a picture (H, W, 3), mirror it into the margin, pack it: (1, 3, *canvas)."""
        return self.laplacian.pack(super().fit(pixels))

    def cut(self, images: Array) -> Array:
        """(N, 3, *canvas) -> pictures (N, 3, height, width), without the margin."""
        return super().cut(self.laplacian.unpack(images))


def packed_levels(levels: Sequence[Level]) -> list[PackedLevel]:
    """Return the same sizes for pictures that are stored as Laplacian pyramids."""
    return [PackedLevel(**vars(level)) for level in levels]


def enlarger(levels: Sequence[PackedLevel]) -> Callable[[Array, Level], Array]:
    """Return the function that brings packed images of one of these levels to the next one."""

    def enlarge(images: Array, level: Level) -> Array:
        assert isinstance(level, PackedLevel)
        before = next(each for each in levels if each.canvas == images.shape[2:])
        pictures = before.laplacian.unpack(images)
        return level.laplacian.pack(resize_batch(pictures, level.pixels.canvas))

    return enlarge


@dataclass(frozen=True)
class AdamOfLevel(Adam):
    """Adam that starts anew at each size, as in NNST: two pyramids have no values in common."""

    def resample(self, state: State, size: tuple[int, int]) -> State:
        """Return the state before the first step at another size."""
        pictures, channels = state["exp_avg"].shape[:2]
        return self.initial_state((pictures, channels, *size))
