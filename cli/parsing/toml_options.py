"""Options in TOML files, as the words that a command line would have."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

from nstbatch.cli.jobs.parameters import NO_DEFAULTS, Parameter
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UnknownNameError, UsageError
from nstbatch.runtime.storage.addresses import located

if TYPE_CHECKING:
    import typer

Words = Mapping[str, str | list[str]]
"""The words for each option, by its key in the verb's function."""

_META = "nstbatch.options"


class Level(IntEnum):
    """Where options come from that are not typed; the later one wins."""

    PRESET_OF_DEFAULTS = 0
    DEFAULTS = 1
    PRESET = 2
    CONFIG = 3


def use(context: typer.Context, level: Level, words: Words) -> None:
    """Let the rest of the command line take its defaults from a file or a preset.

    They may come in any order, as the options that name them do.
    """
    levels: dict[Level, Words] = context.meta.setdefault(_META, {})
    levels[level] = words
    if levels.get(Level.CONFIG, {}).get(NO_DEFAULTS) == "true":
        levels.pop(Level.DEFAULTS, None)
    context.default_map = {key: each for at in sorted(levels) for key, each in levels[at].items()}


def is_of_defaults(context: typer.Context, key: str) -> bool:
    """True if a parameter has its value from the user's own defaults."""
    levels = context.meta.get(_META, {})
    source = context.get_parameter_source(key)
    in_file = source is not None and source.name == "DEFAULT_MAP"
    return in_file and key not in levels.get(Level.CONFIG, {})


def given(context: typer.Context) -> set[str]:
    """Return the keys of the parameters that were typed, or that a file of ``--config`` changes.

    The file that a batch leaves has the values of all options, those that nobody gave too.
    """
    defaults = {each.name: each.default for each in context.command.params}
    in_file = context.meta.get(_META, {}).get(Level.CONFIG, {})
    sources = {key: context.get_parameter_source(key) for key in context.params}
    typed = {key for key, source in sources.items() if source and source.name == "COMMANDLINE"}
    return typed | {key for key in in_file if context.params.get(key) != defaults.get(key)}


def read_toml(path: Path) -> dict[str, object]:
    """Read a file; a UsageError if it cannot be read, or is not TOML."""
    path = located(path)  # an address is none, and messages show no password of it
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{printable(path)} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # also of bytes that are not UTF-8
        raise UsageError(f"{printable(path)} is not TOML: {error}.") from error


def words_in(
    values: Mapping[str, object],
    known: Mapping[str, Parameter],
    path: Path,
    resolved: Callable[[Parameter, str], str],
) -> dict[str, str | list[str]]:
    """Return the words that mean the values in a file.

    Args:
        values: The values by the names of their options, with underscores or dashes.
        known: The parameters of the verb by their names.
        path: The file, for messages.
        resolved: Resolves a value that may be a path.

    Raises:
        UsageError: An option is unknown or there twice, or no command line could have the value.
    """
    words: dict[str, str | list[str]] = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in known:
            raise UnknownNameError(f"option in {printable(path)}", key, known)
        if known[name].key in words:
            raise UsageError(f"{printable(path)} has the option {name!r} twice.")
        words[known[name].key] = _words(known[name], value, path, resolved)
    return words


def _words(
    parameter: Parameter, value: object, path: Path, resolved: Callable[[Parameter, str], str]
) -> str | list[str]:
    values = value if isinstance(value, list) else [value]
    if parameter.words not in (1, len(values)):
        raise UsageError(
            f"In {printable(path)}, {parameter.name!r} should be a list of {parameter.words}."
        )
    if parameter.is_list or parameter.words > 1:
        return [_word(parameter, element, path, resolved) for element in values]
    return _word(parameter, value, path, resolved)


def _word(
    parameter: Parameter, value: object, path: Path, resolved: Callable[[Parameter, str], str]
) -> str:
    wanted = "true or false" if parameter.is_flag else "a text or a number"
    is_right = isinstance(value, bool if parameter.is_flag else str | int | float)
    if not is_right or (isinstance(value, bool) and not parameter.is_flag):
        raise UsageError(
            f"In {printable(path)}, {parameter.name!r} should be {wanted}, not {value!r}."
        )
    if isinstance(value, str):
        return resolved(parameter, value)
    return str(value).lower() if isinstance(value, bool) else str(value)
