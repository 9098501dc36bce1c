"""Where a run is, told to whoever wants to know; and its losses by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.objectives.terms import Objective

from .pyramid import Level, share_done


@dataclass(frozen=True)
class Progress:
    """Where a run is."""

    scale: int
    """From 1 on."""
    scales: int
    step: int
    """Of the updates of all scales; where one ended early, its last ones count as taken."""
    steps: int
    share: float
    """Of the work that is done, from 0 to 1: a step counts by its pixels."""
    height: int
    width: int
    losses: Mapping[str, float]
    """Weighted, by term, and their "total"."""
    stage: str = ""
    """What is being worked on, where a run has several parts: a layer, a frame."""


ProgressCallback: TypeAlias = Callable[[Progress], None]


def named_losses(objective: Objective, losses: Array) -> dict[str, float]:
    """Losses (1, T) by the names of the terms, and their total."""
    named = {term.name: float(loss) for term, loss in zip(objective.terms, losses[0], strict=True)}
    return named | {"total": sum(named.values())}


def reporter(
    progress: ProgressCallback | None, objective: Objective, levels: Sequence[Level]
) -> Callable[[Level, int, Array], None]:
    """What :func:`.pyramid.coarse_to_fine` reports to, for a run of one image."""
    steps = sum(level.steps for level in levels)

    def report(level: Level, step: int, losses: Array) -> None:
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
                )
            )

    return report
