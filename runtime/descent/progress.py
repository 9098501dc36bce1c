"""The progress of a run, for callbacks; and its losses by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.objectives.terms import Objective

from .pyramid import Level, Report, share_done


@dataclass(frozen=True)
class Progress:
    """The position of a run."""

    scale: int
    """Counted from 1."""
    scales: int
    step: int
    """Number of updates over all scales; a scale that ended early counts as complete."""
    steps: int
    share: float
    """Share of the work that is done, from 0 to 1; see :func:`.pyramid.share_done`."""
    height: int
    width: int
    losses: Mapping[str, float]
    """Weighted losses by term, and their "total"."""
    stage: str = ""
    """Current part of a run that has several: a layer, a frame."""
    picture: Callable[[], Array] | None = field(default=None, compare=False, repr=False)
    """Makes the picture so far, (H, W, 3), RGB in [0, 1], at the current scale; to be called before
    the callback returns. None if the run paints no picture."""


ProgressCallback: TypeAlias = Callable[[Progress], None]


def named_losses(objective: Objective, losses: Array) -> dict[str, float]:
    """Return losses (N, T) of one image by the names of the terms, and their total.

    N is 1 unless a view shows the network several pictures for one; their losses are then added.
    """
    sums = losses.sum(axis=0)
    named = {term.name: float(loss) for term, loss in zip(objective.terms, sums, strict=True)}
    return named | {"total": sum(named.values())}


def reporter(
    progress: ProgressCallback | None,
    objective: Objective,
    levels: Sequence[Level],
    finish: Callable[[Array], Array],
) -> Report:
    """Make the callback of :func:`.pyramid.coarse_to_fine` for a run of one image.

    Args:
        progress: Called with the progress; None for a report that does nothing.
        objective: Names the losses.
        levels: The levels of the run.
        finish: Turns images (1, 3, H, W) without margin into the picture (H, W, 3).
    """
    steps = sum(level.steps for level in levels)

    def report(level: Level, step: int, losses: Array, images: Callable[[], Array]) -> None:
        if progress is not None:
            index = levels.index(level)
            progress(
                Progress(
                    scale=index + 1,
                    scales=len(levels),
                    step=sum(each.steps for each in levels[:index]) + step,
                    steps=steps,
                    share=share_done(levels, level, step),
                    height=level.height,
                    width=level.width,
                    losses=named_losses(objective, losses),
                    picture=lambda: finish(level.cut(images())),
                )
            )

    return report


def part_of_run(
    progress: ProgressCallback | None, before: int, parts: int, stage: str
) -> ProgressCallback | None:
    """Make the callback of one part of a run of equal parts; it reports the whole run.

    Args:
        progress: Callback of the whole run; None gives None.
        before: Number of parts before this one.
        parts: Number of all parts.
        stage: Name of this part.
    """
    if progress is None:
        return None
    report = progress

    def report_part(part: Progress) -> None:
        report(
            replace(
                part,
                stage=stage,
                share=(before + part.share) / parts,
                step=before * part.steps + part.step,
                steps=parts * part.steps,
            )
        )

    return report_part
