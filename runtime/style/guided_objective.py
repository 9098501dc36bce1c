"""An objective that looks at each region of a picture by itself (Gatys et al. 2017)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nstbatch.runtime.objectives.guided_terms import guided
from nstbatch.runtime.objectives.terms import CONTENT_TARGET, Objective, Term


def guided_objective(
    objective: Objective, areas: Mapping[str, float], content_area: float | None
) -> Objective:
    """Return an objective with a style term for each region, and content where it counts.

    A weight is multiplied by the share of the picture that its term sees, since a loss is a mean
    over that part: so style and content are balanced at each place as they are without masks.

    Args:
        objective: The terms of a whole picture.
        areas: Share of the picture of each region; empty for a style without regions.
        content_area: Share of the picture where the content counts; None for all of it.
    """

    def parts(weight: float, term: Term) -> Iterator[tuple[float, Term]]:
        if term.target == CONTENT_TARGET and content_area is not None:
            yield weight * content_area, guided(term)
        elif term.target not in (None, CONTENT_TARGET) and areas:
            for name, area in areas.items():
                yield weight * area, guided(term, name)
        else:
            yield weight, term

    return Objective(
        tuple(each for weight, term in objective.weighted for each in parts(weight, term))
    )
