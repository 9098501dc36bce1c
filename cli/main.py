"""The command ``nstbatch``: its verbs, and what becomes of their errors.

Nothing heavy is imported here or at the top of a verb's file, so that ``--help`` answers at once.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import nstbatch
from nstbatch.runtime.errors import NstbatchError, UsageError

from .doctor import doctor
from .export import export
from .models import models
from .report import report
from .stylize import stylize
from .text import printable

log = logging.getLogger(__name__)

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="nstbatch",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (stylize, report, export, models, doctor):
    app.command()(verb)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"nstbatch {nstbatch.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Neural style transfer for folders of photos, without PyTorch."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; the entry point of the program.

    Args:
        arguments: The words after the program's name; those it was started with by default.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name may have letters that the locale lacks
            stream.reconfigure(errors="backslashreplace")
    try:
        app(args=arguments, prog_name="nstbatch")
    except SystemExit as end:  # Typer's way to end, well or badly
        return end.code if isinstance(end.code, int) else FAILED
    except (NstbatchError, OSError) as error:  # such as a full disk behind standard output
        log.debug("The traceback:", exc_info=error)
        lines = "\n".join(map(printable, str(error).splitlines()))
        print(f"nstbatch: {lines}", file=sys.stderr)
        return WRONG_USAGE if isinstance(error, UsageError) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0
