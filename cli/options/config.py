"""Settings files: ``--config batch.toml``, and the one that every batch leaves beside its pictures.

A file holds options by their long names, with underscores or dashes, and the inputs. Its values
take the place of the defaults, so what the command line says comes first.
"""

from __future__ import annotations

import logging
import os
import tomllib
from pathlib import Path
from typing import Annotated

import typer

from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UnknownNameError, UsageError
from nstbatch.runtime.files import temporary_name, write_atomically

from .invocation import Invocation
from .painting import BATCH
from .parameters import Parameter, Setting, is_place, parameters

log = logging.getLogger(__name__)

SAVED = "nstbatch.toml"
"""The settings of the last run, in its output folder."""

_TOKEN = "settings"


def _load(context: typer.Context, path: Path | None) -> Path | None:
    """Have the rest of the command line take its defaults from a file.

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
        help=f"Take what is not given here from a TOML file, such as {SAVED} of another batch.",
        show_default=False,
        rich_help_panel=BATCH,
    ),
]


def _read(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{printable(path)} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # also of bytes that are not UTF-8
        raise UsageError(f"{printable(path)} is not TOML: {error}.") from error


def _words(parameter: Parameter, value: object, path: Path) -> str | list[str]:
    """A value as the words that would stand for it on the command line."""
    if parameter.is_list:
        values = value if isinstance(value, list) else [value]
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
    """A path in a file starts from the file's folder."""
    return os.path.normpath(folder / value) if is_place(parameter, value, folder) else value


# --- Saving -----------------------------------------------------------------------------------


# What is meant for one call, and would do harm or astonish in the next one.
OF_ONE_CALL = frozenset(
    {
        *("overwrite", "dry_run", "json", "quiet", "verbose"),
        *("report", "watch_progress", "watch_port"),
    }
)


def save(run: Invocation, out: Path) -> None:
    """Write what a batch was told into its output folder, as ``--config`` reads it.

    For one process at a time.

    Raises:
        OSError: It cannot be written.
    """
    import tomli_w

    places = {parameter.name: parameter for parameter in run.parameters if parameter.may_be_path}
    data = {
        name: _relative(places[name], value, out) if name in places else value
        for name, value in run.values.items()
        if name not in OF_ONE_CALL and value is not None and value != []  # TOML has no null
    }
    heading = (
        f"# What this folder was last painted with; nstbatch {run.verb} --config reads it.\n\n"
    )
    try:
        text = (heading + tomli_w.dumps(data)).encode()
    except UnicodeEncodeError:  # a name that is not UTF-8: TOML cannot hold it
        log.warning("%s is not written: a file's name is not UTF-8.", SAVED)
        return
    sweep(out)
    write_atomically(out / SAVED, text, _TOKEN)


def sweep(out: Path) -> None:
    """Remove what a process that was killed was writing."""
    (out / temporary_name(_TOKEN)).unlink(missing_ok=True)


def _relative(parameter: Parameter, value: Setting, out: Path) -> Setting:
    if isinstance(value, list):
        return [_relative(parameter, element, out) for element in value]
    if not isinstance(value, str) or not is_place(parameter, value, Path()):
        return value
    try:
        return Path(os.path.relpath(value, out)).as_posix()
    except ValueError:  # on another drive
        return Path(value).absolute().as_posix()
