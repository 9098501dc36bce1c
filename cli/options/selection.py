"""Which photos a batch takes, and where its pictures go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from nstbatch.cli.jobs.parameters import Scope

from .config import Config
from .panels import SELECTION

Inputs = Annotated[
    list[Path],
    typer.Argument(metavar="INPUT", help="Photos, and folders of photos.", show_default=False),
    Scope.PICTURE,
]
Out = Annotated[
    Path,
    typer.Option("--out", "-o", metavar="FOLDER", help="Output folder.", rich_help_panel=SELECTION),
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
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Make pictures again that are already there.", rich_help_panel=SELECTION
    ),
    Scope.CALL,
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Check everything and show the plan; make nothing.",
        rich_help_panel=SELECTION,
    ),
    Scope.CALL,
]
FailFast = Annotated[
    bool,
    typer.Option("--fail-fast", help="Stop at the first failure.", rich_help_panel=SELECTION),
    Scope.BATCH,
]


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """The inputs and outputs of a batch."""

    out: Out
    recursive: Recursive = False
    overwrite: Overwrite = False
    dry_run: DryRun = False
    fail_fast: FailFast = False
    config: Config = None
