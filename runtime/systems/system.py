"""The parts that all systems share: a bundle on a device, a run, and its result."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.checks import Padding, Pooling
from nstbatch.runtime.descent.checkpoints import CheckpointFile
from nstbatch.runtime.descent.loop import (
    PIXEL_BOUNDS,
    Bounds,
    Outcome,
    Steppable,
    StopReason,
    Varying,
    Watch,
    nothing_is_watched,
    nothing_varies,
)
from nstbatch.runtime.descent.optimizers import Optimizer, State
from nstbatch.runtime.descent.progress import ProgressCallback, named_losses, reporter
from nstbatch.runtime.descent.pyramid import Level, Report, coarse_to_fine
from nstbatch.runtime.engine.engine import Engine, Targets
from nstbatch.runtime.engine.opened import Opened
from nstbatch.runtime.objectives.terms import Objective
from nstbatch.runtime.objectives.views import View
from nstbatch.runtime.pictures.images import Picture
from nstbatch.runtime.pictures.made_picture import MadePicture
from nstbatch.runtime.pictures.sizes import from_nchw


@dataclass(frozen=True, kw_only=True)
class Result(MadePicture):
    """A picture, and how it was made."""

    image: Array
    """(H, W, 3), RGB in [0, 1]; smaller than asked for if the run ended at a coarser size."""
    alpha: Array | None = None
    """(H, W): the photo's own, at the size of the image; None for an opaque picture."""
    losses: Mapping[str, float]
    """Losses of this image: weighted, by term, and their "total"."""
    steps: int
    seconds: float
    """Duration of the call, without the time that it waited for pictures of other threads."""
    provider: str
    precision: str
    reason: StopReason


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A description of one picture to be made: its objective, its start and its targets."""

    objective: Objective
    levels: Sequence[Level]
    """Sizes to work through, from coarse to fine."""
    images: Array
    """(1, 3, H, W) of the first level's canvas, where to start."""
    optimizer: Optimizer
    pooling: Pooling
    """Pooling variant of the network."""
    targets: Callable[[Level, Array], Targets]
    """Gives the targets of a level that began with these images; see :meth:`Engine.descent`."""
    padding: Padding = "zeros"
    """Padding of its first convolution."""
    bounds: Bounds = PIXEL_BOUNDS
    views: Callable[[Level], tuple[View, ...]] = lambda level: ()
    """Gives the views of a level."""
    varying: Varying = nothing_varies
    watch: Watch = nothing_is_watched
    """Takes the slopes of a watched view after every evaluation."""
    enlarge: Callable[[Array, Level], Array] | None = None
    """Brings images to the next level; None resizes them."""
    tolerance: float | None = None
    """See :class:`nstbatch.runtime.descent.stall.Stall`."""
    checkpoint: CheckpointFile | None = None
    """Keeps the run on disk; removed when the run is finished."""
    photo: Picture | None = None
    """Gives the result its alpha."""
    finish: Callable[[Array], Array] = from_nchw
    """Turns the last images, (1, 3, H, W) without margin, into the picture (H, W, 3)."""


class System(Opened):
    """A bundle on a device, ready to make pictures; those of one shape share their sessions."""

    default_model: ClassVar[str] = "vgg16"

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        tile_size: int | None = None,
    ) -> None:
        """Choose a bundle and a device; see :class:`nstbatch.runtime.engine.engine.Engine`.

        Args:
            model: Name of a bundle, or its folder; None for the system's default.
            device: The device.
            precision: Precision of the convolutions.
            threads: Number of threads; None for all cores of this process.
            tile_size: Side in pixels of the tiles of larger pictures; None to compute every
                picture as a whole.
        """
        model = self.default_model if model is None else model
        self.engine = Engine(
            model, device=device, precision=precision, threads=threads, tile_size=tile_size
        )

    def _carry_out(
        self,
        plan: Callable[[], Run],
        progress: ProgressCallback | None,
        stop: Callable[[], bool] | None,
    ) -> Result:
        """Make the picture of a run.

        Args:
            plan: Reads the pictures and describes the run; its time counts.
            progress: Called after every step.
            stop: Called before every step; True ends the run.
        """
        started, waited = time.perf_counter(), self.engine.waited
        run = plan()
        report = reporter(progress, run.objective, run.levels, run.finish)
        with self.engine.picture():
            outcome = self._descend(run, report, stop or never)
        if run.checkpoint is not None and outcome.reason is not StopReason.STOPPED:
            run.checkpoint.discard()
        # A run that was stopped, or failed, may have ended at a coarser size.
        ended = next(level for level in run.levels if level.canvas == outcome.images.shape[2:])
        image = run.finish(ended.cut(outcome.images))
        return Result(
            image=image,
            alpha=None if run.photo is None else run.photo.alpha_at(image.shape[:2]),
            losses=named_losses(run.objective, outcome.losses),
            steps=outcome.steps,
            seconds=time.perf_counter() - started - (self.engine.waited - waited),
            provider=self.engine.provider.device,
            precision=self.engine.provider.precision,
            reason=outcome.reason,
        )

    def _descend(
        self,
        run: Run,
        report: Report,
        stop: Callable[[], bool],
    ) -> Outcome:
        """Take the steps of a run; see :func:`coarse_to_fine`."""
        return coarse_to_fine(
            run.levels,
            run.images,
            run.optimizer,
            partial(self._open, run),
            report,
            stop,
            run.enlarge,
            run.checkpoint,
            run.tolerance,
        )

    def open_first(self, run: Run) -> Steppable:
        """Open the descent of a run's first size, whose steps the caller takes."""
        state = run.optimizer.initial_state(run.images.shape)
        return self._open(run, run.levels[0], run.images, state, run.images)

    def _open(self, run: Run, level: Level, images: Array, state: State, begun: Array) -> Steppable:
        return self.engine.descent(
            run.objective,
            run.targets(level, begun),
            images,
            run.optimizer,
            state,
            pooling=run.pooling,
            padding=run.padding,
            bounds=run.bounds,
            views=run.views(level),
            varying=run.varying,
            watch=run.watch,
        )

    def _checkpoint_file(
        self, path: str | os.PathLike[str] | None, *identity: object
    ) -> CheckpointFile | None:
        """Return the checkpoint file of a run of this bundle; None without a path.

        Args:
            path: The file; its folder exists.
            identity: Everything else that tells the run from others; see :class:`CheckpointFile`.
        """
        return CheckpointFile(Path(path), self.engine.bundle, *identity) if path else None


def never() -> bool:
    """Never stop a run."""
    return False
