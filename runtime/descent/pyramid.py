"""Coarse to fine: the sizes of a run, and the run itself.

A coarse size settles large shapes at a fraction of the cost, and lets a style reach across more of
the picture than the receptive field of its deepest layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.pictures.sizes import fit_long_side, mirrored, resize, resize_batch, to_nchw

from .loop import Outcome, Steppable, descend
from .optimizers import Optimizer, State
from .stall import Seen, Stall

# style-transfer-pytorch, style_transfer.py: gen_scales.
FACTOR = math.sqrt(2)

# Opening a size (targets, graphs, sessions) takes about as long as this many steps there. Measured
# with stylize, vgg16 and OpenVINO at 384 pixels: 4 to 11.
OPENING = 8

# Long side in pixels from which steps are dear, and few: the coarser levels have settled all but
# the finest strokes. A guess: schedules were not compared at 2048 pixels.
DEAR = 1024

# The networks pad with zeros, which show as a frame of lines along the edge of the picture. So a
# margin is painted as well, and cut off. A guess: the lines lie within 12 of 512 pixels.
MARGIN = 1 / 32


@dataclass(frozen=True)
class Level:
    """One size of a run, and the updates taken there."""

    height: int
    width: int
    margin: int
    """Pixels painted beyond each edge of the picture, and cut off at the end."""
    steps: int

    @property
    def canvas(self) -> tuple[int, int]:
        """Height and width including the margin."""
        return self.height + 2 * self.margin, self.width + 2 * self.margin

    def fit(self, pixels: Array) -> Array:
        """Resize a picture (H, W, 3), and mirror it into the margin: (1, 3, *canvas)."""
        return to_nchw(mirrored(resize(pixels, (self.height, self.width)), self.margin))

    def cut(self, images: Array) -> Array:
        """(N, 3, *canvas) -> (N, 3, height, width): cut the margin off."""
        top = left = self.margin
        return images[:, :, top : top + self.height, left : left + self.width]


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run in the middle: everything that its next step depends on."""

    level: int
    """Index of the level."""
    steps: int
    """Updates taken at that level."""
    images: Array
    """(N, 3, H, W) at that level's canvas."""
    state: State
    """The optimiser's state."""
    taken: int
    """Updates taken over all levels."""
    seen: Seen
    """Losses at that level so far; see :class:`.stall.Stall`."""
    begun: Array
    """(N, 3, H, W): the images that the level began with, which its targets may depend on."""


Report: TypeAlias = Callable[[Level, int, Array, Callable[[], Array]], None]
"""Told of the level, the updates taken there, the losses (N, T), and what copies the images
(N, 3, *canvas) as long as the call lasts."""


class Keeper(Protocol):
    """Keeps checkpoints; see :class:`nstbatch.runtime.descent.checkpoints.CheckpointFile`."""

    def resume(self) -> Checkpoint | None:
        """Return the checkpoint to resume from; None to start from the beginning."""

    def keep(self, checkpoint: Callable[[], Checkpoint]) -> None:
        """Save a checkpoint if it is time to; called after every evaluation."""


def plan_levels(
    height: int,
    width: int,
    *,
    size: int,
    scales: int,
    steps: int,
    smallest: int,
    coarsest: int = 1,
    margin: float = 0.0,
    least_margin: int = 0,
    factor: float = FACTOR,
    power: float = 0.0,
    few_above: int | None = None,
) -> list[Level]:
    """Plan the levels of a run, from coarse to fine, each ``factor`` times the one before.

    Args:
        height: Height of the original picture.
        width: Its width; the levels keep its aspect ratio.
        size: Long side of the last level.
        scales: Number of levels, minus those whose short side would be below ``smallest``, or
            their long side below ``coarsest``, and those that round to the size of another.
        steps: Updates over all levels; the finest levels take the remainder.
        smallest: Smallest allowed side of a level; the last level is kept even if smaller.
        coarsest: Smallest allowed long side of a level; likewise.
        margin: Margin as a share of the long side.
        least_margin: The smallest margin, in pixels.
        factor: Ratio of the sizes of two successive levels.
        power: Updates per level are proportional to (long side)^power; 0 means equal.
        few_above: Long side in pixels. Above it there are further levels, if there are several at
            all, and the updates of a level are fewer by the square of its side, so that each costs
            as much as one of this side; None for no such side.
    """
    if few_above is not None and scales > 1 and size > few_above:
        scales += math.ceil(math.log(size / few_above, factor) - 1e-9)
    sides = [round(size / factor**level) for level in reversed(range(scales))]
    sides = [side for side in sides[:-1] if side >= coarsest] + sides[-1:]
    # Very small sizes may round to the same one; each is used once.
    shapes = list(dict.fromkeys(fit_long_side(height, width, side) for side in sides))
    shapes = [shape for shape in shapes[:-1] if min(shape) >= smallest] + shapes[-1:]
    shares = np.cumsum([_share(max(shape), power, few_above or size) for shape in shapes])
    # Rounding errors just below a whole number count as that number.
    ends = np.floor(steps * shares / shares[-1] + 1e-9).astype(int)
    ends[-1] = steps
    return [
        Level(*shape, margin=max(least_margin, round(margin * max(shape))), steps=int(taken))
        for shape, taken in zip(shapes, np.diff(ends, prepend=0), strict=True)
    ]


def _share(side: int, power: float, few_above: int) -> float:
    """Return the share of the updates of a level, before they are scaled to their sum."""
    return float(min(side, few_above) ** power * min(1.0, few_above / side) ** 2)


def share_done(levels: Sequence[Level], level: Level, steps: int) -> float:
    """Return the share of the work, in [0, 1], done after ``steps`` updates at a level.

    Each update counts by its pixels, and the opening of a level as :data:`OPENING` of its updates.
    """
    works = [(OPENING + each.steps) * math.prod(each.canvas) for each in levels]
    before = sum(works[: levels.index(level)])
    return (before + (OPENING + steps) * math.prod(level.canvas)) / sum(works)


def coarse_to_fine(
    levels: Sequence[Level],
    images: Array,
    optimizer: Optimizer,
    open_descent: Callable[[Level, Array, State, Array], Steppable],
    report: Report,
    stop: Callable[[], bool],
    enlarge: Callable[[Array, Level], Array] | None = None,
    keeper: Keeper | None = None,
    tolerance: float | None = None,
) -> Outcome:
    """Run every level, each from the images of the one before it.

    Args:
        levels: From coarse to fine.
        images: (N, 3, H, W) at the first level's canvas.
        optimizer: Carries its state from size to size.
        open_descent: Given a level, images and state of its size, and the images that the level
            began with, opens their descent.
        report: Called after every evaluation.
        stop: Called before each update; True ends the run.
        enlarge: Brings images of one level to the canvas of the next; resizes them by default.
        keeper: Saves checkpoints, and gives the one to resume from.
        tolerance: The next level begins when the loss stalls; see :class:`.stall.Stall`.

    Returns:
        The last outcome, at the size of its level, with the images that the optimiser shows and
        the steps of all levels.
    """
    start = keeper.resume() if keeper else None
    start = start or Checkpoint(0, 0, images, optimizer.initial_state(images.shape), 0, (), images)
    images, state, before, taken = start.images, start.state, start.steps, start.taken
    seen, begun = start.seen, start.begun
    for index, level in enumerate(levels[start.level :], start.level):
        if images.shape[2:] != level.canvas:
            images = enlarge(images, level) if enlarge else resize_batch(images, level.canvas)
            state = optimizer.resample(state, level.canvas)
        begun = begun if index == start.level else images
        stall = Stall(tolerance, seen)
        with closing(open_descent(level, images, state, begun)) as descent:
            outcome = descend(
                descent,
                level.steps - before,
                _of_level(report, level, before, optimizer, descent),
                stop,
                _of_place(keeper, index, before, taken, descent, stall, begun),
                _of_steps(stall, before),
            )
        taken += outcome.steps
        images, state, before, seen = optimizer.shown(outcome), outcome.state, 0, ()
        if not outcome.reason.is_success:
            break
    return replace(outcome, images=images, steps=taken)


def _of_level(
    report: Report, level: Level, before: int, optimizer: Optimizer, descent: Steppable
) -> Callable[[int, Array], None]:
    """Make a level's report, which also counts updates from before a break."""
    return lambda step, losses: report(
        level, before + step, losses, lambda: optimizer.shown(descent)
    )


def _of_steps(stall: Stall, before: int) -> Callable[[int, Array], bool]:
    """Make a level's check for a stall, which also counts updates from before a break."""
    return lambda step, losses: stall(before + step, losses)


def _of_place(
    keeper: Keeper | None,
    level: int,
    before: int,
    taken: int,
    descent: Steppable,
    stall: Stall,
    begun: Array,
) -> Callable[[int], None]:
    """Make a level's keeper, which also counts everything done before it."""

    def keep(step: int) -> None:
        if keeper is not None:
            keeper.keep(
                lambda: Checkpoint(
                    level,
                    before + step,
                    descent.images,
                    descent.state,
                    taken + step,
                    # A resumed run evaluates the newest once more.
                    stall.seen[:-1],
                    begun,
                )
            )

    return keep
