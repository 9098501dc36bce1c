"""Names of pictures from a template: ``--name '{stem}-{style}'``."""

from __future__ import annotations

import os
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UnknownNameError, UsageError

from .parameters import Setting

# Of one name in a folder, on all common file systems.
MAX_NAME_BYTES = 255

STEM, INDEX, VARIATION = "stem", "index", "variation"
OF_THE_RUN = ("style", "model", "size", "seed")
"""Fields that are settings; a verb without such a setting has no such field."""


@dataclass(frozen=True)
class Naming:
    """A template, and what stands for its fields in a run.

    Raises:
        UnknownNameError: The template has a field that there is not; lists those there are.
        UsageError: It is no template.
    """

    template: str
    fields: Mapping[str, str | int]
    """Of the whole run, by name; each picture adds its stem, index and variation."""

    def __post_init__(self) -> None:
        known = (STEM, INDEX, VARIATION, *self.fields)
        for field in self._used():
            if field not in known:
                raise UnknownNameError(f"field in the name {self.template!r}", field, known)

    def _used(self) -> set[str]:
        try:
            parts = list(string.Formatter().parse(self.template))
        except ValueError as error:
            raise UsageError(f"The name {self.template!r} is no template: {error}.") from error
        if any("{" in (spec or "") for _, _, spec, _ in parts):
            raise UsageError(f"The name {self.template!r} has a field within a field.")
        return {field for _, field, _, _ in parts if field is not None}

    @property
    def tells_variations(self) -> bool:
        """Whether the several pictures of one photo have different names."""
        return VARIATION in self._used()

    def renamed(self, path: Path, index: int, variation: int) -> Path:
        """A picture's path, its stem after the template.

        Args:
            path: The path with the photo's stem.
            index: Which photo it is, from 0 on.
            variation: Which of its pictures, from 0 on.

        Raises:
            UsageError: What comes out is no name of a file.
        """
        values = {**self.fields, STEM: path.stem, INDEX: index + 1, VARIATION: variation + 1}
        try:
            # Fields are plain names by now, so nothing can be reached through them.
            stem = self.template.format_map(values)
        except ValueError as error:
            raise UsageError(f"The name {self.template!r} is no template: {error}.") from error
        name = stem + path.suffix
        separators = {os.sep, os.altsep or os.sep, "\0"}
        if not stem or separators & set(name) or len(os.fsencode(name)) > MAX_NAME_BYTES:
            raise UsageError(
                f"The name {self.template!r} makes {printable(name)!r} of "
                f"{printable(path.name)!r}, which is no name of a file."
            )
        return path.with_name(name)


def fields(settings: Mapping[str, Setting]) -> dict[str, str | int]:
    """What stands for the fields of a run; a file is told by its name without suffix."""
    found: dict[str, str | int] = {}
    for name in OF_THE_RUN:
        value = settings.get(name)
        if isinstance(value, str):
            found[name] = Path(value).stem if name == "style" else Path(value).name
        elif isinstance(value, int):
            found[name] = value
    return found
