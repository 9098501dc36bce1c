"""Options for messages, progress and the report of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from nstbatch.cli.jobs.parameters import Scope

from .panels import REPORTING

Report = Annotated[
    bool,
    typer.Option(
        "--report",
        help="Write report.html at the end: a page with all pictures.",
        rich_help_panel=REPORTING,
    ),
    Scope.CALL,
]
WatchProgress = Annotated[
    bool,
    typer.Option(
        "--watch-progress",
        help="Serve the page while the batch runs, on this machine only; prints its address.",
        rich_help_panel=REPORTING,
    ),
    Scope.CALL,
]
WatchPort = Annotated[
    int | None,
    typer.Option(
        "--watch-port",
        min=1,
        max=65535,
        metavar="PORT",
        help="Port of --watch-progress, which it turns on. Default: any free port.",
        show_default=False,
        rich_help_panel=REPORTING,
    ),
    Scope.CALL,
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print a line of JSON for each result, in place of its path.",
        rich_help_panel=REPORTING,
    ),
    Scope.CALL,
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="Print failures only, and what --json or -0 prints.",
        rich_help_panel=REPORTING,
    ),
    Scope.CALL,
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help="Print details, and the tracebacks of errors.",
        rich_help_panel=REPORTING,
    ),
    Scope.CALL,
]


@dataclass(frozen=True, eq=False, repr=False)
class Reporting:
    """Options for messages, progress and the report of a batch."""

    report: Report = False
    watch_progress: WatchProgress = False
    watch_port: WatchPort = None
    as_json: Json = False
    quiet: Quiet = False
    verbose: Verbose = False
