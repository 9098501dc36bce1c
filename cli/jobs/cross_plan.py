"""The plan of a batch of all photos in all styles."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError

from .naming import STYLE, Naming
from .parameters import Setting
from .plan import Job, Plan

TEMPLATE = "{stem}-{style}"


def make_cross_plan(
    styles: Sequence[Path], naming: Naming | None, make: Callable[[Naming], Plan]
) -> Plan:
    """Make a plan with a picture for each photo and style, one style after another.

    Each job has its style among its ``sources``, and in its recipe as the only one.

    Args:
        styles: The files of the styles.
        naming: Names of the pictures; None for :data:`TEMPLATE`.
        make: Makes the plan of one style; see :func:`.plan.make_plan`.

    Raises:
        UsageError: Two styles have one name, or the names of pictures do not tell styles apart.
    """
    naming = naming or Naming(TEMPLATE, {STYLE: ""})
    _check_names(styles, naming)
    plans = [make(replace(naming, fields={**naming.fields, STYLE: style.stem})) for style in styles]
    jobs = tuple(
        _in_style(job, style)
        for style, plan in zip(styles, plans, strict=True)
        for job in plan.jobs
    )
    unreadable = dict.fromkeys(each for plan in plans for each in plan.unreadable)
    return Plan(jobs, tuple(unreadable), plans[0].left_out)


def _check_names(styles: Sequence[Path], naming: Naming) -> None:
    if not naming.tells_styles:
        raise UsageError("With --each-style, --name needs the field {style}.")
    name, times = Counter(style.stem for style in styles).most_common(1)[0]
    if times > 1:
        raise UsageError(
            f"With --each-style, every style needs a name of its own: {times} are named "
            f"{printable(name)}."
        )


def _in_style(job: Job, style: Path) -> Job:
    settings: dict[str, Setting] = {
        **job.settings,
        "style": [os.fspath(style)],
        "each_style": False,
    }
    return replace(job, sources={"style": style}, settings=settings)
