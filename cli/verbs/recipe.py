"""``nstbatch recipe``: the command that makes a picture again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, cast

import typer

import nstbatch
from nstbatch.cli.jobs.parameters import Scope, Setting, command_words, inputs_of
from nstbatch.cli.parsing.panels import REPORTING
from nstbatch.cli.parsing.parameters import parameters
from nstbatch.cli.text import printable, shell
from nstbatch.runtime.errors import ImageError

Picture = Annotated[
    Path,
    typer.Argument(metavar="PICTURE", help="A picture made by this program.", show_default=False),
]

Json = Annotated[
    bool, typer.Option("--json", help="Print the whole recipe as JSON.", rich_help_panel=REPORTING)
]


def recipe(context: typer.Context, picture: Picture, as_json: Json = False) -> None:
    """Print the command that makes a picture again, or with --json its whole recipe.

    Run the command in the folder of the original run: file names are as they were
    typed then.
    """
    found = _read(picture)
    if as_json:
        print(json.dumps(found, indent=1))
        return
    parent = context.parent
    assert parent is not None  # the program itself
    commands = cast("Any", parent.command).commands
    verb, settings = found.get("verb"), _settings(found.get("settings"))
    # A picture may come from a stranger. The command only gets options that shape pictures, so a
    # recipe cannot choose the folder that is written to.
    is_verb = isinstance(verb, str) and verb in commands
    known = (
        [each for each in parameters(commands[verb]) if each.scope >= Scope.MAKING]
        if is_verb
        else []
    )
    if inputs_of(known) is None or settings is None:
        raise ImageError(
            f"The recipe in {printable(picture)} is for a command that this version lacks."
        )
    left_out = sorted(set(settings) - {parameter.name for parameter in known})
    _warn(found.get("nstbatch"), left_out)
    from nstbatch.cli.output.picture_writer import with_home

    there = {name: with_home(value) for name, value in settings.items()}
    print(shell(command_words(str(verb), known, there)))


def _read(picture: Path) -> dict[str, Any]:
    from nstbatch.runtime.formats.metadata import read_recipe

    try:
        text = read_recipe(picture)
    except ImageError as error:
        raise ImageError(f"{printable(picture)}: {error}") from error
    if text is None:
        raise ImageError(
            f"{printable(picture)} contains no recipe: it was not made by nstbatch, "
            "or with --strip, or another program has removed it."
        )
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ImageError(f"The recipe in {printable(picture)} is damaged: {error}.") from error
    if not isinstance(found, dict):
        raise ImageError(f"The recipe in {printable(picture)} is damaged: it is not a JSON object.")
    return found


def _settings(found: object) -> dict[str, Setting] | None:
    """Return the settings if their values are plain values or lists of them; else None."""

    def is_plain(value: object) -> bool:
        return value is None or isinstance(value, str | int | float | bool)

    are_settings = isinstance(found, dict) and all(
        is_plain(value) or (isinstance(value, list) and all(map(is_plain, value)))
        for value in found.values()
    )
    return cast("dict[str, Setting]", found) if are_settings else None


def _warn(version: object, left_out: list[str]) -> None:
    if version != nstbatch.__version__:
        made_by = printable(str(version))
        print(f"nstbatch: The picture was made by version {made_by}.", file=sys.stderr)
    if left_out:
        names = ", ".join(map(printable, left_out))
        print(f"nstbatch: Left out {names}: no such option shapes a picture here.", file=sys.stderr)
