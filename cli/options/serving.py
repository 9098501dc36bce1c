"""The options of ``nstbatch serve``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from nstbatch.cli.jobs.memory_budget import parse_bytes
from nstbatch.cli.parsing.panels import SELECTION

LIMITS = "Limits"

# A JPEG of 50 megapixels, as phones make them, has 15 to 25 MB.
DEFAULT_UPLOAD = "32MB"

TOKEN_VARIABLE = "NSTBATCH_TOKEN"

DEFAULT_JOBS = Path("jobs")

StylesFolder = Annotated[
    Path | None,
    typer.Option(
        "--styles",
        metavar="FOLDER",
        help="Folder of styles that clients may name. Without it they send the style too.",
        show_default=False,
        rich_help_panel=SELECTION,
    ),
]
JobsFolder = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        metavar="FOLDER",
        help="Folder of the jobs: uploads, results and their ledgers.",
        rich_help_panel=SELECTION,
    ),
]
Host = Annotated[
    str,
    typer.Option(
        "--host",
        help="Address to listen at. Any other than this machine's own needs a token.",
        rich_help_panel=SELECTION,
    ),
]
Port = Annotated[
    int,
    typer.Option(
        "--port",
        min=0,
        max=65535,
        metavar="PORT",
        help="Port to listen at; 0 for any free one.",
        rich_help_panel=SELECTION,
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar=TOKEN_VARIABLE,
        show_envvar=False,
        metavar="TOKEN",
        help=f"Token that clients must send; better in the environment as {TOKEN_VARIABLE}. "
        "Default: none for this machine; else a new one, which is printed.",
        show_default=False,
        rich_help_panel=SELECTION,
    ),
]
MaxUpload = Annotated[
    str,
    typer.Option(
        "--max-upload",
        metavar="SIZE",
        help="Largest upload, such as 32MB.",
        rich_help_panel=LIMITS,
    ),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        "--max-pixels",
        min=1,
        metavar="N",
        help="Most pixels (width times height) of an upload. Default: 89 million.",
        show_default=False,
        rich_help_panel=LIMITS,
    ),
]
LargestSize = Annotated[
    int,
    typer.Option(
        "--largest-size",
        min=1,
        metavar="PIXELS",
        help="Largest long side of a result that a client may ask for.",
        rich_help_panel=LIMITS,
    ),
]
MostIterations = Annotated[
    int,
    typer.Option(
        "--most-iterations",
        min=1,
        metavar="N",
        help="Most iterations that a client may ask for.",
        rich_help_panel=LIMITS,
    ),
]
MostWaiting = Annotated[
    int,
    typer.Option(
        "--queue",
        min=1,
        metavar="N",
        help="Most jobs that wait; further uploads are refused until there is room.",
        rich_help_panel=LIMITS,
    ),
]
MostKept = Annotated[
    int,
    typer.Option(
        "--keep",
        min=1,
        metavar="N",
        help="Finished jobs to keep; beyond it the oldest are removed with their pictures.",
        rich_help_panel=LIMITS,
    ),
]


@dataclass(frozen=True, eq=False, repr=False)
class Serving:
    """Where the service listens, and what clients may ask."""

    styles: StylesFolder = None
    out: JobsFolder = DEFAULT_JOBS
    host: Host = "127.0.0.1"
    port: Port = 8000
    token: Token = None
    max_upload: MaxUpload = DEFAULT_UPLOAD
    max_pixels: MaxPixels = None
    largest_size: LargestSize = 2048
    most_iterations: MostIterations = 2000
    most_waiting: MostWaiting = 100
    most_kept: MostKept = 1000

    @property
    def upload_bytes(self) -> int:
        """Largest upload in bytes; a UsageError if the option is no size."""
        return parse_bytes(self.max_upload)
