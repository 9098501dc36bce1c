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
from .weighted import weighted_path

# Longest name of a file on all common file systems.
MAX_NAME_BYTES = 255

STEM, INDEX, VARIATION = "stem", "index", "variation"
STYLE = "style"
OF_THE_RUN = (STYLE, "model", "size", "seed")
"""Fields that are settings; a verb without the setting does not have the field."""


class NameTooLongError(UsageError):
    """The name of one picture is longer than file systems allow; the others may be fine."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The name of its picture would have {len(os.fsencode(name))} bytes, and "
            f"{MAX_NAME_BYTES} is the limit: {printable(name)}. Give the pictures shorter names, "
            "such as --name '{index}'."
        )


@dataclass(frozen=True)
class Naming:
    """A template, and the values of its fields in a run.

    Raises:
        UnknownNameError: The template has an unknown field; the message lists the known ones.
        UsageError: The template is invalid.
    """

    template: str
    fields: Mapping[str, str | int]
    """Values for the whole run, by field; each picture adds its stem, index and variation."""

    def __post_init__(self) -> None:
        known = (STEM, INDEX, VARIATION, *self.fields)
        for field in self._used():
            if field not in known:
                raise UnknownNameError(f"field in the name {self.template!r}", field, known)

    def _used(self) -> set[str]:
        try:
            parts = list(string.Formatter().parse(self.template))
        except ValueError as error:
            raise UsageError(f"The name template {self.template!r} is invalid: {error}.") from error
        if any("{" in (spec or "") for _, _, spec, _ in parts):
            raise UsageError(f"The name template {self.template!r} has a field inside a field.")
        return {field for _, field, _, _ in parts if field is not None}

    @property
    def tells_variations(self) -> bool:
        """True if the template gives each variation of a photo its own name."""
        return VARIATION in self._used()

    @property
    def tells_styles(self) -> bool:
        """True if the template gives the pictures of each style their own names."""
        return STYLE in self._used()

    def renamed(self, path: Path, index: int, variation: int) -> Path:
        """Return a picture's path with the stem that the template gives.

        Args:
            path: The path with the photo's stem.
            index: Number of the photo, from 0 on.
            variation: Number of the photo's picture, from 0 on.

        Raises:
            UsageError: The result is not a valid file name.
            NameTooLongError: It is too long.
        """
        values = {**self.fields, STEM: path.stem, INDEX: index + 1, VARIATION: variation + 1}
        try:
            # All fields are plain names, checked above, so the template reaches no attributes.
            stem = self.template.format_map(values)
        except ValueError as error:
            raise UsageError(f"The name template {self.template!r} is invalid: {error}.") from error
        name = stem + path.suffix
        separators = {os.sep, os.altsep or os.sep, "\0"}
        if not stem or separators & set(name):
            raise UsageError(
                f"The name template {self.template!r} turns {printable(path.name)!r} into "
                f"{printable(name)!r}, which is not a valid file name."
            )
        check_length(name)
        return path.with_name(name)


def check_length(name: str) -> None:
    """Raise a NameTooLongError if a file cannot have this name on common file systems."""
    if len(os.fsencode(name)) > MAX_NAME_BYTES:
        raise NameTooLongError(name)


def fields(settings: Mapping[str, Setting]) -> dict[str, str | int]:
    """Return the fields of a run and their values.

    The style is its file name without suffix; several are joined: ``monet+munch``.
    """
    found: dict[str, str | int] = {}
    for name in OF_THE_RUN:
        value = settings.get(name)
        if isinstance(value, list):
            found[name] = "+".join(weighted_path(str(each))[0].stem for each in value)
        elif isinstance(value, str):
            found[name] = Path(value).stem if name == STYLE else Path(value).name
        elif isinstance(value, int):
            found[name] = value
    return found
