"""The styles that the service offers by name: the pictures in a folder."""

from __future__ import annotations

import os
from pathlib import Path

from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.pictures.images import SUFFIXES

from .limits import RefusedError


class StyleFolder:
    """The styles in a folder; it is read again for every request, so that styles may be added.

    A style is called by its file's name without suffix, or with it if two have the same name.
    """

    def __init__(self, folder: Path | None) -> None:
        """Check that the folder can be read.

        Args:
            folder: The folder; None to offer no styles.

        Raises:
            UsageError: It cannot be read, or there is no picture in it.
        """
        self._folder = folder
        try:
            styles = self.styles()
        except OSError as error:
            raise UsageError(
                f"{printable(folder or '')} cannot be read: {error.strerror}."
            ) from error
        if folder is not None and not styles:
            raise UsageError(f"There is no picture in {printable(folder)}.")

    def styles(self) -> dict[str, Path]:
        """Return the files by the names of the styles, in their order; an OSError if it is gone."""
        if self._folder is None:
            return {}
        names = sorted(
            name
            for name in os.listdir(self._folder)  # noqa: PTH208, for the names as they are
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
        )
        stems = [Path(name).stem for name in names]
        return {
            stem if stems.count(stem) == 1 else name: self._folder / name
            for stem, name in zip(stems, names, strict=True)
        }

    def named(self) -> dict[str, Path]:
        """Return the same; a RefusedError if the folder is gone."""
        try:
            return self.styles()
        except OSError as error:
            raise RefusedError(500, f"The styles cannot be read: {error.strerror}.") from error

    def path(self, name: str) -> Path:
        """Return the file of a style.

        Raises:
            RefusedError: There is no such style, or the folder is gone.
        """
        styles = self.named()
        if name not in styles:
            known = ", ".join(styles) or "none; send a picture as the style"
            raise RefusedError(422, f"Unknown style: {name!r}. Known: {known}.")
        return styles[name]
