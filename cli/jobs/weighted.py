"""Names of files with weights: ``monet.jpg=2``."""

from __future__ import annotations

import os
from pathlib import Path


def weighted_path(text: str) -> tuple[Path, float]:
    """Return the path and the weight of ``PATH`` or ``PATH=WEIGHT``; a weight left out is 1.

    A file that has the whole text as its name comes first, so that "a=2" is a name.
    """
    name, equals, weight = text.rpartition("=")
    # os.path, because Path raises an OSError for a text that is too long to be a name.
    if not equals or not name or os.path.lexists(text):
        return Path(text), 1.0
    try:
        return Path(name), float(weight)
    except ValueError:
        return Path(text), 1.0
