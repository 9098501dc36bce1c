"""Patterns of file names: ``--include '*.jpg' --exclude drafts``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


class Globs:
    """Patterns for the files that a search takes, and for those that it leaves out.

    They are the patterns of .gitignore files, as in ripgrep: one without a slash is compared with
    the name of a file and of each folder above it, one with a slash with the path from the input
    folder on. ``*`` stands for any letters but ``/``, ``**`` for any folders. Upper and lower case
    are the same, since cameras write ``.JPG``.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        """Read the patterns.

        Args:
            include: Patterns of the files to take; none for all.
            exclude: Patterns of the files and folders to leave out.

        Raises:
            UsageError: A pattern is invalid.
        """
        self._include, self._exclude = _spec(include), _spec(exclude)

    def takes(self, path: PurePath) -> bool:
        """True if a search takes a file, given by its path from the input folder on."""
        name = path.as_posix().casefold()
        if self._exclude is not None and self._exclude.match_file(name):
            return False
        return self._include is None or self._include.match_file(name)

    def enters(self, path: PurePath) -> bool:
        """False if everything in a folder is left out."""
        name = f"{path.as_posix()}/".casefold()
        return self._exclude is None or not self._exclude.match_file(name)


def _spec(patterns: Sequence[str]) -> GitIgnoreSpec | None:
    if not patterns:
        return None
    from pathspec import GitIgnoreSpec

    for pattern in patterns:
        try:
            valid = bool(pattern.strip("/")) and GitIgnoreSpec.from_lines([_literal(pattern)])
        except (ValueError, re.error):
            valid = False
        if not valid:
            raise UsageError(f"The pattern {printable(pattern)!r} is invalid.")
    return GitIgnoreSpec.from_lines(map(_literal, patterns))


def _literal(pattern: str) -> str:
    """Take the special meaning from letters that begin a comment or a negation in .gitignore."""
    pattern = pattern.removeprefix("./").casefold()
    return f"\\{pattern}" if pattern.startswith(("#", "!")) else pattern
