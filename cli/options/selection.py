"""Which photos a batch takes, and where its pictures go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from nstbatch.cli.jobs.parameters import Scope
from nstbatch.cli.parsing.panels import SELECTION
from nstbatch.cli.parsing.short_help import show_all

from .config import Config
from .defaults import NoDefaults

Inputs = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="INPUT",
        help="Photos, folders of photos, patterns such as '*.jpg', or - for standard input; also "
        "addresses such as s3://bucket/photos.",
        show_default=False,
    ),
    Scope.PICTURE,
]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        metavar="FOLDER|FILE",
        help="Output folder. For one picture also its file, such as result.jpg, or - for standard "
        "output.",
        rich_help_panel=SELECTION,
    ),
    Scope.BATCH,
]
Recursive = Annotated[
    bool,
    typer.Option(
        "--recursive",
        "-r",
        help="Also take the photos in subfolders. The output has the same subfolders.",
        rich_help_panel=SELECTION,
    ),
    Scope.BATCH,
]
FromFile = Annotated[
    Path | None,
    typer.Option(
        "--from-file",
        metavar="FILE",
        help="Also take the inputs in this list, one on each line; - reads it from standard input.",
        show_default=False,
        rich_help_panel=SELECTION,
    ),
    Scope.BATCH,
]
Null = Annotated[
    bool,
    typer.Option(
        "--null",
        "-0",
        help="End names with a NUL in place of a newline: in the list of --from-file, and in the "
        "output, which then has the bytes of the names.",
        rich_help_panel=SELECTION,
    ),
    Scope.BATCH,
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include",
        metavar="GLOB",
        help="In folders take only what matches, such as '*.jpg' or 'May/**'. May be repeated.",
        show_default=False,
        rich_help_panel=SELECTION,
    ),
    Scope.BATCH,
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="GLOB",
        help="In folders leave out what matches: files, or whole folders. May be repeated.",
        show_default=False,
        rich_help_panel=SELECTION,
    ),
    Scope.BATCH,
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Make pictures again that are there already, and replace them.",
        rich_help_panel=SELECTION,
    ),
    Scope.CALL,
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Check the options and list what would be made, with time and memory; make nothing.",
        rich_help_panel=SELECTION,
    ),
    Scope.CALL,
]
FailFast = Annotated[
    bool,
    typer.Option("--fail-fast", help="Stop at the first failure.", rich_help_panel=SELECTION),
    Scope.BATCH,
]
HelpAll = Annotated[
    bool,
    typer.Option(
        "--help-all",
        callback=show_all,
        is_eager=True,
        help="Show all options, by theme, and exit.",
    ),
    Scope.CALL,
]


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """The inputs and outputs of a batch."""

    out: Out
    recursive: Recursive = False
    from_file: FromFile = None
    null: Null = False
    include: Include = None
    exclude: Exclude = None
    overwrite: Overwrite = False
    dry_run: DryRun = False
    fail_fast: FailFast = False
    config: Config = None
    no_defaults: NoDefaults = False
    help_all: HelpAll = False
