"""Names of files with weights: ``monet.jpg=2``."""

from __future__ import annotations

import os
from pathlib import Path

from nstbatch.runtime.storage.addresses import RemotePath, located


def weighted_path(given: str | os.PathLike[str]) -> tuple[Path, float]:
    """Return the path and the weight of ``PATH`` or ``PATH=WEIGHT``; a weight left out is 1.

    A file that has the whole text as its name comes first, so that "a=2" is a name. An address of
    the web with a query takes no weight.
    """
    text = os.fspath(given)
    name, equals, weight = text.rpartition("=")
    has_query = isinstance(given, RemotePath) and bool(given.address)
    # os.path, because Path raises an OSError for a text that is too long to be a name.
    if not equals or not name or has_query or os.path.lexists(text):
        return located(given), 1.0
    try:
        return located(name), float(weight)
    except ValueError:
        return located(given), 1.0
