"""The user's own defaults: a file of options in the user's folder for settings.

The file's top part is for all verbs, and a section for one::

    size = 1024

    [stylize]
    style = "~/styles/monet.jpg"

``--config`` and the command line win over it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from nstbatch.cli.jobs.parameters import NO_DEFAULTS, Parameter, Scope, is_place
from nstbatch.cli.parsing.panels import SELECTION
from nstbatch.cli.parsing.parameters import CONFIG, parameters
from nstbatch.cli.parsing.toml_options import Level, Words, read_toml, use, words_in
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UnknownNameError, UsageError
from nstbatch.runtime.user_folders import expanded, user_config

log = logging.getLogger(__name__)

VARIABLE = "NSTBATCH_DEFAULTS"
"""Environment variable: another file, or empty for none."""

NAME = "defaults.toml"

PREFIX = "NSTBATCH_"
"""Beginning of this program's environment variables."""


def defaults_file() -> Path | None:
    """Return where the file is looked for; None if nowhere. It need not exist."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return expanded(named) if named else None
    folder = user_config()
    return None if folder is None else folder / NAME


def environment() -> dict[str, str]:
    """Return the environment variables with which another process reads the same defaults.

    Those of this program are all included, and name the file of defaults that is read here.
    """
    own = {name: text for name, text in os.environ.items() if name.startswith(PREFIX)}
    file = defaults_file()
    there = file is not None and _is_readable(file)
    return own | {VARIABLE: os.path.abspath(file) if file and there else ""}  # noqa: PTH100


def _load(context: typer.Context, off: bool) -> bool:
    """Let the rest of the command line take its defaults from the user's file.

    Raises:
        UsageError: The file has an unknown option or section, or a value that no command line
            could have; or the environment names a file that cannot be read.
    """
    path = None if off or context.resilient_parsing else defaults_file()
    if path is not None and (values := _read(path)):
        use(context, Level.DEFAULTS, _words(context, values, path))
    return off


NoDefaults = Annotated[
    bool,
    typer.Option(
        "--" + NO_DEFAULTS.replace("_", "-"),
        callback=_load,
        is_eager=True,  # before the options that it has the defaults of
        help="Do not read your own file of defaults; `nstbatch doctor` shows where it is.",
        rich_help_panel=SELECTION,
    ),
    # A recipe always has it: the options that it leaves out have the values that are built in.
    Scope.MAKING,
]


def _read(path: Path) -> dict[str, object]:
    if VARIABLE not in os.environ and not _is_readable(path):
        return {}
    return read_toml(path)


def _is_readable(path: Path) -> bool:
    """False if there is no file, also where the home folder belongs to somebody else."""
    try:
        with path.open("rb"):
            return True
    except OSError as error:
        log.debug("No defaults are read: %s", error)
        return False


def _words(context: typer.Context, values: Mapping[str, object], path: Path) -> Words:
    verb = context.command.name or ""
    known = _by_name(context.command)
    others = dict(_other_verbs(context))
    top: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            if name != verb and others and name not in others:
                raise UnknownNameError(f"section in {printable(path)}", name, [verb, *others])
        elif name.replace("-", "_") in known:
            top[name] = value
        else:
            _check_elsewhere(name, others, known, path)
    section = values.get(verb)
    section = section if isinstance(section, dict) else {}
    _refuse_inputs({**top, **section}, known, path)
    resolved = partial(_resolved, path)
    return {
        **words_in(top, known, path, resolved),
        **words_in(section, known, path, resolved),
    }


def _by_name(command: Any) -> dict[str, Parameter]:
    return {parameter.name: parameter for parameter in parameters(command)}


def _other_verbs(context: typer.Context) -> Iterator[tuple[str, Any]]:
    """Yield the other verbs that take defaults; none if this verb was not called by the program."""
    commands: dict[str, Any] = getattr(context.find_root().command, "commands", {})
    for name, command in commands.items():
        takes_files = any(each.name == CONFIG for each in command.params)
        if takes_files and command is not context.command:
            yield name, command


def _check_elsewhere(
    name: str, others: Mapping[str, Any], known: Mapping[str, Parameter], path: Path
) -> None:
    """Raise a UsageError for an option that no verb has: a typing error."""
    elsewhere = {each for command in others.values() for each in _by_name(command)}
    if others and name.replace("-", "_") not in elsewhere:
        raise UnknownNameError(f"option in {printable(path)}", name, sorted({*known, *elsewhere}))


def _refuse_inputs(
    values: Mapping[str, object], known: Mapping[str, Parameter], path: Path
) -> None:
    for name in values:
        parameter = known.get(name.replace("-", "_"))
        if parameter and (parameter.option is None or parameter.name == NO_DEFAULTS):
            raise UsageError(f"{printable(path)} cannot have a default for {parameter.name!r}.")


def _resolved(file: Path, parameter: Parameter, value: str) -> str:
    """Resolve a path: one in the file starts from the file's folder, but for the output folder."""
    there = expanded(value) if value.startswith("~") else None
    if there is not None and is_place(parameter, os.fspath(there), file.parent):
        return os.fspath(there)
    if parameter.name == "out" or not is_place(parameter, value, file.parent):
        return value
    return os.path.normpath(file.parent / value)
