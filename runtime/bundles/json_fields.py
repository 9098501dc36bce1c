"""Strict reading of JSON from an untrusted source.

Every getter of `Fields` raises a BundleError that names the field, the expected value and the
actual one, so the message points to the damaged place.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TypeGuard

from nstbatch.runtime.errors import BundleError


class Fields:
    """The fields of one JSON object.

    ``where`` is the object's name in messages, such as ``bundle.json`` or ``layers[3]``.
    """

    def __init__(self, data: object, where: str, names: Collection[str]) -> None:
        """Raise BundleError unless ``data`` is an object with exactly the fields ``names``."""
        if not isinstance(data, Mapping):
            raise BundleError(f"{where} should be an object, not {_shown(data)}.")
        missing = [name for name in names if name not in data]
        unknown = [str(name) for name in data if name not in names]
        if missing:
            raise BundleError(f"{where} has no {', '.join(map(repr, missing))}.")
        if unknown:
            raise BundleError(f"{where} has unknown fields: {', '.join(map(repr, unknown))}.")
        self._data = data
        self._where = where

    def text(self, name: str) -> str:
        """A string that is not blank."""
        value = self._data[name]
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(name, "a non-empty string")
        return value

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """A string that is one of ``choices``."""
        value = self._data[name]
        if not isinstance(value, str) or value not in choices:
            raise self.wrong(name, " or ".join(map(repr, choices)))
        return value

    def positive_integer(self, name: str) -> int:
        """A whole number above 0."""
        value = self._data[name]
        if not _is_integer(value) or value < 1:
            raise self.wrong(name, "a whole number above 0")
        return value

    def positive_integer_or_none(self, name: str) -> int | None:
        """A whole number above 0, or null."""
        return None if self._data[name] is None else self.positive_integer(name)

    def number(self, name: str) -> float:
        """A finite number."""
        value = self._data[name]
        if not _is_number(value):
            raise self.wrong(name, "a number")
        return float(value)

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        """A list of exactly ``count`` finite numbers."""
        values = self._items(name, f"{count} numbers")
        if len(values) != count or not all(_is_number(value) for value in values):
            raise self.wrong(name, f"{count} numbers")
        return tuple(float(value) for value in values if _is_number(value))

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings that are not blank."""
        expected = "a list of non-empty strings"
        values = self._items(name, expected)
        texts = tuple(value for value in values if isinstance(value, str) and value.strip())
        if len(texts) != len(values):
            raise self.wrong(name, expected)
        return texts

    def children(self, name: str, names: Collection[str]) -> list[Fields]:
        """A list of objects, each with exactly the fields ``names``."""
        items = self._items(name, "a list of objects")
        return [Fields(item, f"{name}[{index}]", names) for index, item in enumerate(items)]

    def child(self, name: str, names: Collection[str]) -> Fields:
        """An object with exactly the fields ``names``."""
        return Fields(self._data[name], name, names)

    def table(self, name: str) -> dict[str, str]:
        """An object with any field names, whose values are strings."""
        expected = "an object whose values are strings"
        value = self._data[name]
        if not isinstance(value, Mapping):
            raise self.wrong(name, expected)
        table = {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, str)}
        if len(table) != len(value):
            raise self.wrong(name, expected)
        return table

    def _items(self, name: str, expected: str) -> list[object]:
        value = self._data[name]
        if not isinstance(value, list | tuple):
            raise self.wrong(name, expected)
        return list(value)

    def wrong(self, name: str, expected: str) -> BundleError:
        """The error for a field that does not hold the expected value."""
        held = _shown(self._data[name])
        return BundleError(f"{name!r} of {self._where} should be {expected}, not {held}.")


def _is_integer(value: object) -> TypeGuard[int]:
    # In Python JSON's true is an int.
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[int | float]:
    return _is_integer(value) or (isinstance(value, float) and math.isfinite(value))


def _shown(value: object, longest: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= longest else f"{text[:longest]}..."
