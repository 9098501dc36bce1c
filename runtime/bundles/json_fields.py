"""Strict reading of JSON that someone else may have written.

Every getter of `Fields` raises a BundleError that names the field, what it should hold and what it
holds, so that a damaged manifest is found where it is damaged.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TypeGuard

from nstbatch.runtime.errors import BundleError


class Fields:
    """The fields of one JSON object.

    ``where`` says in messages which object this is: ``bundle.json``, ``layers[3]``.
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
        """A string with something in it."""
        value = self._data[name]
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(name, "a text")
        return value

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """One of a few strings."""
        value = self._data[name]
        if not isinstance(value, str) or value not in choices:
            raise self.wrong(name, " or ".join(map(repr, choices)))
        return value

    def positive_integer(self, name: str) -> int:
        """A whole number from 1 on."""
        value = self._data[name]
        if not _is_integer(value) or value < 1:
            raise self.wrong(name, "a whole number above 0")
        return value

    def positive_integer_or_none(self, name: str) -> int | None:
        """A whole number from 1 on, or null."""
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
        """A list of strings with something in them."""
        values = self._items(name, "a list of texts")
        texts = tuple(value for value in values if isinstance(value, str) and value.strip())
        if len(texts) != len(values):
            raise self.wrong(name, "a list of texts")
        return texts

    def children(self, name: str, names: Collection[str]) -> list[Fields]:
        """A list of objects, each with exactly the fields ``names``."""
        items = self._items(name, "a list of objects")
        return [Fields(item, f"{name}[{index}]", names) for index, item in enumerate(items)]

    def child(self, name: str, names: Collection[str]) -> Fields:
        """An object with exactly the fields ``names``."""
        return Fields(self._data[name], name, names)

    def table(self, name: str) -> dict[str, str]:
        """An object of any fields, each a string."""
        value = self._data[name]
        if not isinstance(value, Mapping):
            raise self.wrong(name, "an object of texts")
        table = {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, str)}
        if len(table) != len(value):
            raise self.wrong(name, "an object of texts")
        return table

    def _items(self, name: str, expected: str) -> list[object]:
        value = self._data[name]
        if not isinstance(value, list | tuple):
            raise self.wrong(name, expected)
        return list(value)

    def wrong(self, name: str, expected: str) -> BundleError:
        """The error that says what a field should hold and what it holds."""
        held = _shown(self._data[name])
        return BundleError(f"{name!r} of {self._where} should be {expected}, not {held}.")


def _is_integer(value: object) -> TypeGuard[int]:
    # JSON's true is an int to Python.
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[int | float]:
    return _is_integer(value) or (isinstance(value, float) and math.isfinite(value))


def _shown(value: object, longest: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= longest else f"{text[:longest]}..."
