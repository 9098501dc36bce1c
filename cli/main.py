"""The command ``nstbatch``: its verbs, and the exit codes of their errors.

Neither this file nor a verb's file imports a slow package at its top, so that ``--help`` is fast.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, NoReturn

import typer

import nstbatch
from nstbatch.cli.jobs.invocation import PROGRAM, Call
from nstbatch.cli.parsing.repeated import WithCheckpoints
from nstbatch.cli.parsing.short_help import ShortHelpCommand
from nstbatch.cli.parsing.switches import PlainCommand, PlainGroup
from nstbatch.cli.verbs.bench import bench
from nstbatch.cli.verbs.deconv import deconv
from nstbatch.cli.verbs.doctor import doctor
from nstbatch.cli.verbs.dream import dream
from nstbatch.cli.verbs.export import export
from nstbatch.cli.verbs.fill import fill
from nstbatch.cli.verbs.models import models
from nstbatch.cli.verbs.recipe import recipe
from nstbatch.cli.verbs.reconstruct import reconstruct
from nstbatch.cli.verbs.report import report
from nstbatch.cli.verbs.retry import retry
from nstbatch.cli.verbs.serve import serve
from nstbatch.cli.verbs.stylize import stylize
from nstbatch.cli.verbs.texture import texture
from nstbatch.cli.verbs.watch import watch
from nstbatch.runtime.errors import NstbatchError, UsageError
from nstbatch.runtime.storage.addresses import without_credentials

from .exit_codes import DONE, FAILED, INTERRUPTED, WRONG_USAGE
from .text import printable

log = logging.getLogger(__name__)

app = typer.Typer(
    name="nstbatch",
    cls=PlainGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (stylize, watch, texture, fill, reconstruct, deconv, dream):
    app.command(cls=WithCheckpoints if verb is deconv else ShortHelpCommand)(verb)
for verb in (serve, report, recipe, retry, export, models, doctor):
    app.command(cls=PlainCommand)(verb)
app.add_typer(bench, name="bench")


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
    """Style transfer, textures and looks inside neural networks, for folders of photos."""


def program() -> NoReturn:
    """Run the command line of this process, and end the process."""
    logging.captureWarnings(True)  # they are for programmers: --verbose prints them
    code = run()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with contextlib.suppress(OSError, ValueError):  # its reader has ended, or it is closed
            stream.flush()
    if code == INTERRUPTED:
        # After Ctrl-C, do not wait for gigabytes of memory to be released in order.
        os._exit(code)
    sys.exit(code)


def run(arguments: Sequence[str] | None = None, call: Call | None = None) -> int:
    """Run a command line and return its exit code.

    Args:
        arguments: The words after the program's name; by default those of this process.
        call: The call that the words belong to; by default a new one.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # the locale may lack letters of a file name
            stream.reconfigure(errors="backslashreplace")
    try:
        words = sys.argv[1:] if arguments is None else arguments
        called = call or Call(tuple(map(without_credentials, words)), run=run)
        app(args=words, prog_name=PROGRAM, obj=replace(called, words=tuple(words)))
    except SystemExit as end:  # Typer ends this way after success and failure
        return end.code if isinstance(end.code, int) else FAILED
    except (
        NstbatchError,
        OSError,
    ) as error:  # an OSError: for example standard output on a full disk
        log.debug("The traceback:", exc_info=error)
        lines = "\n".join(map(printable, _said(error).splitlines()))
        print(f"nstbatch: {lines}", file=sys.stderr)
        return WRONG_USAGE if isinstance(error, UsageError) else FAILED
    except ModuleNotFoundError as error:  # the user chooses and installs this package
        if error.name != "onnxruntime":
            raise
        print(f"nstbatch: {_without_onnxruntime()}", file=sys.stderr)
        return WRONG_USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    return DONE


def _said(error: NstbatchError | OSError) -> str:
    """Return an error's sentence; that of the system without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}{f': {error.filename}' if error.filename else ''}."
    return str(error)


def _without_onnxruntime() -> str:
    from nstbatch.runtime.devices.devices import CPU, GPU
    from nstbatch.runtime.installing import install

    return (
        "ONNX Runtime is not installed. To install it for CPUs:\n"
        f"  {install(*CPU)}\nFor NVIDIA GPUs:\n  {install(*GPU)}"
    )
