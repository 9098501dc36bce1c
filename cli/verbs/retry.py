"""``nstbatch retry``: makes the failed pictures of an output folder again."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nstbatch.cli.console.logs import set_verbosity
from nstbatch.cli.exit_codes import DONE, FAILED, INTERRUPTED
from nstbatch.cli.jobs.invocation import PROGRAM, Call
from nstbatch.cli.options.reporting import Verbose
from nstbatch.cli.text import count, printable, shell
from nstbatch.runtime.errors import UsageError

if TYPE_CHECKING:
    from nstbatch.cli.output.fingerprint import Source
    from nstbatch.cli.output.kept import KeptLedger
    from nstbatch.cli.output.ledger_lines import PictureLine, RunLine


def retry(
    context: typer.Context,
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="The output folder of a batch.", show_default=False),
    ],
    verbose: Verbose = False,
) -> None:
    """Make the failed pictures of an output folder again.

    Runs the original commands again, in their original folders, for the failed
    pictures only.

    Exit codes: 0 no failures are left, 1 some failed again, 2 the folder is not
    the output of a batch, 130 interrupted.
    """
    set_verbosity(quiet=False, verbose=verbose)
    ledger = _ledger(out)
    failures = ledger.failures
    if not failures:
        print(f"Nothing has failed in {printable(out)}.", file=sys.stderr)
        return
    out = out.absolute()
    for words, folder, lines in _commands(ledger, failures):
        print(f"{count(len(lines), 'picture')} of: {shell(words)}", file=sys.stderr)
        settings = ledger.runs[lines[-1].run].settings
        if _call_again(context, words, folder, out, lines, settings) == INTERRUPTED:
            raise typer.Exit(INTERRUPTED)
    ledger = _ledger(out)
    raise typer.Exit(FAILED if ledger.failures else DONE)


def _ledger(out: Path) -> KeptLedger:
    from nstbatch.cli.output.kept import kept_in
    from nstbatch.cli.output.ledger import NAME

    ledger = kept_in(out).ledger
    if not ledger.is_there:
        raise UsageError(f"{printable(out)} is not the output folder of a batch: it has no {NAME}.")
    return ledger


def _commands(
    ledger: KeptLedger, failures: Iterable[PictureLine]
) -> list[tuple[tuple[str, ...], str, list[PictureLine]]]:
    """Return the commands that failed, with their folders and their failed pictures."""
    calls: dict[tuple[tuple[str, ...], str], list[PictureLine]] = {}
    for line in failures:
        run = ledger.runs.get(line.run)
        if run and (changed := _changed_files(run)):
            print(
                f"nstbatch: {printable(line.input)} is not retried: the file given as {changed} "
                "has changed since. To make all pictures again, run the command with --overwrite.",
                file=sys.stderr,
            )
        elif run and run.folder and len(run.command) > 1 and run.command[0] == PROGRAM:
            calls.setdefault((run.command, run.folder), []).append(line)
        else:
            name = printable(line.input)
            print(
                f"nstbatch: {name} is not retried: the ledger lacks its command.", file=sys.stderr
            )
    return [(words, folder, lines) for (words, folder), lines in calls.items()]


def _changed_files(run: RunLine) -> str:
    """Return the options whose files have changed since the run; empty if none have."""
    from nstbatch.cli.output.fingerprint import hash_source

    now = {name: hash_source(_source(run, name)) for name in run.files}
    changed = [name for name, sha256 in now.items() if sha256 and sha256 != run.files[name]]
    return ", ".join(f"--{name.replace('_', '-')}" for name in changed)


def _source(run: RunLine, name: str) -> Source:
    """Return the files that an option of a run names, with their weights; none if one is gone."""
    from nstbatch.cli.jobs.mask_files import masks_of_styles
    from nstbatch.cli.jobs.style_files import style_files

    paths = _paths(run, name)
    try:
        if name == "style":
            return style_files(list(map(os.fspath, paths)))
        if name == "style_mask":
            styles = [path for path, _ in style_files(list(map(os.fspath, _paths(run, "style"))))]
            return [(mask, 1.0) for mask in masks_of_styles(styles, paths) if mask]
    except UsageError:
        return None
    return paths[0]


def _paths(run: RunLine, name: str) -> list[Path]:
    value = run.settings.get(name)
    return [run.path(str(each)) for each in (value if isinstance(value, list) else [value])]


def _call_again(
    context: typer.Context,
    words: tuple[str, ...],
    folder: str,
    out: Path,
    lines: list[PictureLine],
    settings: Mapping[str, object],
) -> int:
    """Run a command for some of its pictures; the output folder may have been moved since."""
    calling: Call = context.find_root().obj
    assert calling.run is not None  # the program always sets it
    arguments = words[1:]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    moved = (*arguments[:end], "--out", os.fspath(out), *arguments[end:])
    only = frozenset(line.output for line in lines)
    call = Call(arguments, only, ("retry", os.fspath(out)), settings, calling.run)
    try:
        with contextlib.chdir(folder):
            return calling.run(moved, call)
    except OSError as error:
        print(f"nstbatch: {printable(folder)}: {error.strerror}.", file=sys.stderr)
        return FAILED
