"""What a verb can be told, asked of the command line itself: for settings files and recipes."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from .painting import BATCH, REPORT

Setting: TypeAlias = str | int | float | bool | list["Setting"] | None
"""A value of a parameter, as JSON can hold it; paths are texts."""

CONFIG = "config"

# How parameters call a path in the help; beside another word it is one of several things they take.
_PLACES = {"INPUT", "EXEMPLAR", "IMAGE", "PICTURE", "FOLDER", "FILE"}

# Options that say where pictures go and what is told of them, and nothing of what they look like.
_BESIDE_THE_PICTURE = {BATCH, REPORT}


@dataclass(frozen=True)
class Parameter:
    """An option or an argument of a verb."""

    key: str
    """What the verb's function calls it."""
    option: str | None
    """Its long name, with dashes; None for an argument."""
    default: Setting
    is_flag: bool
    is_list: bool
    may_be_path: bool
    is_path: bool
    shapes_picture: bool
    """Whether pictures may look different for it."""

    @property
    def name(self) -> str:
        """Its long name, with underscores."""
        return self.key if self.option is None else self.option.lstrip("-").replace("-", "_")


def parameters(command: Any) -> list[Parameter]:
    """The parameters of a verb, as Typer has made them, but for ``--config`` and ``--help``."""
    return [
        found for found in map(_parameter, command.params) if found.name not in (CONFIG, "help")
    ]


def inputs_of(known: Sequence[Parameter]) -> str | None:
    """Name of the argument that takes photos; None for a verb that paints no batch."""
    inputs = (each for each in known if each.option is None and each.is_path and each.is_list)
    return next((each.name for each in inputs), None)


def _parameter(made: Any) -> Parameter:
    is_option = made.opts[0].startswith("-")
    words = set((made.metavar or "").rstrip(".").split("|"))
    return Parameter(
        key=made.name,
        option=max(made.opts, key=len) if is_option else None,
        default=as_json(made.default),
        is_flag=bool(getattr(made, "is_flag", False)),
        is_list=bool(getattr(made, "multiple", False)) or made.nargs == -1,
        may_be_path=bool(words & _PLACES),
        is_path=words <= _PLACES,
        shapes_picture=getattr(made, "rich_help_panel", None) not in _BESIDE_THE_PICTURE,
    )


def as_json(value: object) -> Setting:
    """A value that the command line has read, for JSON."""
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
    """The words of the command that has these settings; defaults are left out.

    Settings that are not known are left out, too.
    """
    options: list[str] = []
    arguments: list[str] = []
    for parameter in known:
        value = settings.get(parameter.name, parameter.default)
        if parameter.option is None:
            arguments += _texts(value)
        elif value != parameter.default:
            options += _option_words(parameter.option, value, is_flag=parameter.is_flag)
    # What begins with a dash would be taken for an option.
    separator = ["--"] if any(word.startswith("-") for word in arguments) else []
    return ["nstbatch", verb, *options, *separator, *arguments]


def _option_words(option: str, value: Setting, *, is_flag: bool) -> Iterator[str]:
    if is_flag:
        yield from [option] if value else []
    else:
        for text in _texts(value):
            yield from (option, text)


def _texts(value: Setting) -> list[str]:
    if value is None:
        return []
    return [str(element) for element in value] if isinstance(value, list) else [str(value)]


def is_place(parameter: Parameter, value: str, folder: Path) -> bool:
    """Whether a value is a path, and not one of the words that may stand there instead.

    Args:
        parameter: Whose value it is.
        value: The value.
        folder: What a relative path starts from.
    """
    if parameter.is_path:
        return True
    looks_like_one = "/" in value or os.sep in value
    return parameter.may_be_path and (looks_like_one or (folder / value).is_file())
