"""Settings files: ``--config batch.toml``.

A file holds options by their long names, with underscores or dashes, and the inputs. Its values
replace the defaults, so options on the command line win. Every batch writes one, with
:mod:`nstbatch.cli.output.settings_file`.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated

import typer

from nstbatch.cli.jobs.invocation import SAVED
from nstbatch.cli.jobs.parameters import Parameter, Scope, is_place
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UnknownNameError, UsageError

from .panels import SELECTION
from .parameters import parameters


def _load(context: typer.Context, path: Path | None) -> Path | None:
    """Let the rest of the command line take its defaults from a file.

    Raises:
        UsageError: The file cannot be read, or has an option that the verb lacks, or a value that
            no command line could have.
    """
    if path is not None and not context.resilient_parsing:
        known = {parameter.name: parameter for parameter in parameters(context.command)}
        defaults: dict[str, object] = {}
        for key, value in _read(path).items():
            name = key.replace("-", "_")
            if name not in known:
                raise UnknownNameError(f"option in {printable(path)}", key, known)
            if known[name].key in defaults:
                raise UsageError(f"{printable(path)} has the option {name!r} twice.")
            defaults[known[name].key] = _words(known[name], value, path)
        context.default_map = defaults
    return path


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        callback=_load,
        is_eager=True,  # before the options that it has the defaults of
        help=f"TOML file with further options, such as {SAVED} of another batch.",
        show_default=False,
        rich_help_panel=SELECTION,
    ),
    Scope.CALL,
]


def _read(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{printable(path)} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # also of bytes that are not UTF-8
        raise UsageError(f"{printable(path)} is not TOML: {error}.") from error


def _words(parameter: Parameter, value: object, path: Path) -> str | list[str]:
    """Return the words of the command line that mean this value."""
    values = value if isinstance(value, list) else [value]
    if parameter.words not in (1, len(values)):
        raise UsageError(
            f"In {printable(path)}, {parameter.name!r} should be a list of {parameter.words}."
        )
    if parameter.is_list or parameter.words > 1:
        return [_word(parameter, element, path) for element in values]
    return _word(parameter, value, path)


def _word(parameter: Parameter, value: object, path: Path) -> str:
    wanted = "true or false" if parameter.is_flag else "a text or a number"
    is_right = isinstance(value, bool if parameter.is_flag else str | int | float)
    if not is_right or (isinstance(value, bool) and not parameter.is_flag):
        raise UsageError(
            f"In {printable(path)}, {parameter.name!r} should be {wanted}, not {value!r}."
        )
    if isinstance(value, str):
        return _resolved(parameter, value, path.parent)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _resolved(parameter: Parameter, value: str, folder: Path) -> str:
    """Resolve a path: one in a file starts from the file's folder."""
    return os.path.normpath(folder / value) if is_place(parameter, value, folder) else value
