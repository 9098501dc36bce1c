"""The folders of the user who runs this process; there may be none, as in containers and jobs."""

from __future__ import annotations

from pathlib import Path


def user_data() -> Path | None:
    """Return this program's folder for the user's data; None if the user has no home folder."""
    import platformdirs

    return _with_home(platformdirs.user_data_path("nstbatch", appauthor=False))


def user_cache() -> Path | None:
    """Return this program's folder for caches; None if the user has no home folder."""
    import platformdirs

    return _with_home(platformdirs.user_cache_path("nstbatch", appauthor=False))


def expanded(path: str | Path) -> Path | None:
    """Replace a ``~`` at the beginning of a path; None if that home folder is not known."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # HOME is not set, and the user id has no passwd entry
        return None


def _with_home(path: Path) -> Path | None:
    # platformdirs leaves the ~ in: without this check a folder of that name would be made in the
    # current folder.
    return expanded(path)
