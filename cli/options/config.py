"""Settings files: ``--config batch.toml``.

A file holds options by their long names, with underscores or dashes, and the inputs. Its values
replace the defaults, also those of :mod:`.defaults`, so options on the command line win. Every
batch writes one, with :mod:`nstbatch.cli.output.settings_file`.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from nstbatch.cli.jobs.invocation import SAVED
from nstbatch.cli.jobs.parameters import Parameter, Scope, is_place
from nstbatch.cli.parsing.panels import SELECTION
from nstbatch.cli.parsing.parameters import parameters
from nstbatch.cli.parsing.toml_options import Level, read_toml, use, words_in


def _load(context: typer.Context, path: Path | None) -> Path | None:
    """Let the rest of the command line take its defaults from a file.

    Raises:
        UsageError: The file cannot be read, or has an option that the verb lacks, or a value that
            no command line could have.
    """
    if path is not None and not context.resilient_parsing:
        known = {parameter.name: parameter for parameter in parameters(context.command)}
        use(context, Level.CONFIG, words_in(read_toml(path), known, path, partial(_resolved, path)))
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


def _resolved(file: Path, parameter: Parameter, value: str) -> str:
    """Resolve a path: one in a file starts from the file's folder."""
    folder = file.parent
    return os.path.normpath(folder / value) if is_place(parameter, value, folder) else value
