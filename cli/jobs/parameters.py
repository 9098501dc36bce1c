"""The options and arguments of a verb, as plain data."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from pathlib import Path
from typing import TypeAlias

from nstbatch.runtime.storage.addresses import is_address

Setting: TypeAlias = str | int | float | bool | list["Setting"] | None
"""A value of a parameter, as JSON can hold it; paths are texts."""


STREAM = Path("-")
"""Stands for standard input or output, as in other programs."""

NO_DEFAULTS = "no_defaults"
"""The option that switches the user's own defaults off."""


class Scope(IntEnum):
    """How far the effect of an option reaches; each scope includes those above it.

    Every option declares its scope beside its help text;
    :mod:`nstbatch.cli.parsing.parameters` reads them.
    """

    CALL = 0
    """Only this one call: it is not saved in the settings file."""
    BATCH = 1
    """Which pictures are made, and where: saved in the settings file."""
    MAKING = 2
    """How a picture is computed, chosen or named: also in the picture's recipe."""
    PICTURE = 3
    """What a picture looks like: also in its fingerprint, so a change makes it another picture."""


class Neutral(Enum):
    """Marks an option that changes no picture while it has its default."""

    NEUTRAL = True


NEUTRAL = Neutral.NEUTRAL
"""An option that is added to a verb bears it, so that the pictures that are there stay up to date:
at its default it is not in their fingerprints."""


@dataclass(frozen=True)
class Parameter:
    """An option or an argument of a verb."""

    key: str
    """Its name in the verb's function."""
    option: str | None
    """Its long name, with dashes; None for an argument."""
    default: Setting
    is_flag: bool
    is_list: bool
    may_be_path: bool
    is_path: bool
    scope: Scope
    words: int = 1
    """Number of words that the option takes each time."""
    is_neutral: bool = False
    """True if its default is not in the fingerprint; see :data:`NEUTRAL`."""

    @property
    def name(self) -> str:
        """Its long name, with underscores."""
        return self.key if self.option is None else self.option.lstrip("-").replace("-", "_")


def inputs_of(known: Sequence[Parameter]) -> str | None:
    """Name of the argument that takes photos; None for a verb that paints no batch."""
    inputs = (each for each in known if each.option is None and each.is_path and each.is_list)
    return next((each.name for each in inputs), None)


def as_json(value: object) -> Setting:
    """Convert a value that the command line has read, for JSON."""
    if isinstance(value, list | tuple):
        return [as_json(element) for element in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no word for it
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def command_words(
    verb: str, known: Sequence[Parameter], settings: Mapping[str, Setting]
) -> list[str]:
    """Return the words of the command that has these settings; defaults are left out.

    Unknown settings are left out, too. The user's own defaults are switched off, since the defaults
    that are left out are the built-in ones.
    """
    options: list[str] = []
    arguments: list[str] = []
    for parameter in known:
        value = settings.get(parameter.name, parameter.default)
        if parameter.name == NO_DEFAULTS:
            value = True
        if parameter.option is None:
            arguments += _texts(value)
        elif value != parameter.default:
            options += _option_words(parameter, value)
    # Click would take an argument that begins with a dash for an option.
    separator = (
        ["--"]
        if any(word.startswith("-") and word != os.fspath(STREAM) for word in arguments)
        else []
    )
    return ["nstbatch", verb, *options, *separator, *arguments]


def _option_words(parameter: Parameter, value: Setting) -> Iterator[str]:
    option = str(parameter.option)
    if parameter.is_flag:
        yield from [option] if value else []
    elif parameter.words > 1:
        yield from (option, *_texts(value))
    else:
        for text in _texts(value):
            yield from (option, text)


def _texts(value: Setting) -> list[str]:
    if value is None:
        return []
    return [str(element) for element in value] if isinstance(value, list) else [str(value)]


def is_place(parameter: Parameter, value: str, folder: Path) -> bool:
    """Return True if a value is a path, and not one of the words that the parameter also takes.

    Args:
        parameter: The parameter of the value.
        value: The value.
        folder: The folder that a relative path starts from.
    """
    if value == os.fspath(STREAM) or is_address(value):
        return False
    if parameter.is_path:
        return True
    looks_like_one = "/" in value or os.sep in value
    # os.path, because Path raises an OSError for a list of layers that is too long to be a name.
    return parameter.may_be_path and (looks_like_one or os.path.isfile(folder / value))  # noqa: PTH113
