"""The folders of the user who runs this process; there may be none, as in containers and jobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


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
