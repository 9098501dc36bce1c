"""The folders of the user who runs this process; there may be none, as in containers and jobs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

CACHE_VARIABLE = "NSTBATCH_CACHE"
OFF = "off"


def user_data() -> Path | None:
    """Return this program's folder for the user's data; None if the user has no home folder."""
    import platformdirs

    return _known(lambda: platformdirs.user_data_path("nstbatch", appauthor=False))


def user_cache() -> Path | None:
    """Return this program's folder for caches; None if the user has no home folder."""
    import platformdirs

    return _known(lambda: platformdirs.user_cache_path("nstbatch", appauthor=False))


def user_config() -> Path | None:
    """Return this program's folder for settings; None if the user has no home folder."""
    import platformdirs

    return _known(lambda: platformdirs.user_config_path("nstbatch", appauthor=False))


def cache_folder() -> Path | None:
    """Return the folder of the cache; None if it is "off", or in the home folder of nobody.

    It lies in $NSTBATCH_CACHE or the user's cache folder, and always has a name of its own: old
    files in it are removed, and $NSTBATCH_CACHE may hold other files.
    """
    chosen = os.environ.get(CACHE_VARIABLE, "")
    if chosen.lower() == OFF:
        return None
    if not chosen:
        return user_cache()
    folder = expanded(chosen)
    return None if folder is None else folder / "nstbatch"


def expanded(path: str | Path) -> Path | None:
    """Replace a ``~`` at the beginning of a path; None if that home folder is not known."""
    return _known(lambda: Path(path))


def _known(find: Callable[[], Path]) -> Path | None:
    """Return a path without ``~``; None if HOME is not set and the user id has no passwd entry.

    platformdirs raises RuntimeError then; its older versions leave the ``~`` in, and to use that
    path would make a folder of that name in the current folder.
    """
    try:
        return find().expanduser()
    except RuntimeError:
        return None
