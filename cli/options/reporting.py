"""Options for messages, progress and the report of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from nstbatch.cli.jobs.parameters import Scope
from nstbatch.cli.parsing.panels import REPORTING, complete
from nstbatch.runtime.checks import one_of

PROTOCOLS = ("kitty", "iterm2", "sixel")
"""For pictures in a terminal; see :mod:`nstbatch.cli.console.terminal_images`."""

MOST_SNAPSHOTS = 999_999
"""Their numbers have six digits."""

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
PreviewSwitch = Annotated[
    bool,
    typer.Option(
        "--preview",
        help="Show the picture so far in the terminal, if it shows pictures.",
        rich_help_panel=REPORTING,
    ),
    Scope.CALL,
]
PreviewAs = Annotated[
    str | None,
    typer.Option(
        "--preview-as",
        metavar="|".join(PROTOCOLS),
        help="Protocol of --preview, which it turns on. Default: that of the terminal.",
        autocompletion=complete(PROTOCOLS),
        show_default=False,
        rich_help_panel=REPORTING,
    ),
    Scope.CALL,
]
SnapshotCount = Annotated[
    int,
    typer.Option(
        "--snapshots",
        min=0,
        max=MOST_SNAPSHOTS,
        metavar="N",
        help="Write N pictures on the way to each, evenly over its steps, to a folder beside it.",
        rich_help_panel=REPORTING,
    ),
    Scope.BATCH,
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


@dataclass(frozen=True, eq=False, repr=False)
class StepReporting(Reporting):
    """The same for verbs that paint step by step."""

    preview: PreviewSwitch = False
    preview_as: PreviewAs = None
    snapshots: SnapshotCount = 0

    def __post_init__(self) -> None:
        """Raise an UnknownNameError for an unknown protocol."""
        if self.preview_as is not None:
            one_of("protocol of --preview-as", self.preview_as, PROTOCOLS)

    @property
    def protocol(self) -> str | None:
        """The protocol of the preview, "auto" to ask the terminal; None for no preview."""
        return self.preview_as or ("auto" if self.preview else None)
