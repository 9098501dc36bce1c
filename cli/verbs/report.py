"""``nstbatch report``: a page that shows the pictures of a batch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nstbatch.cli.text import printable

if TYPE_CHECKING:
    from nstbatch.cli.report.page import Records

Folder = Annotated[
    Path,
    typer.Argument(metavar="FOLDER", help="The output folder of a batch.", show_default=False),
]
Open = Annotated[bool, typer.Option("--open", help="Show the page in the browser.")]


def report(folder: Folder, show: Open = False) -> None:
    """Make a page that shows the pictures and failures of a batch.

    Reads the ledger in the output folder and writes FOLDER/report.html, one file
    that any browser shows, also without a network. Prints its path.
    """
    from nstbatch.cli.report.page import write_page

    page = write_page(folder, tracked)
    print(printable(page), flush=True)
    if show:
        typer.launch(page.absolute().as_uri())


def tracked(records: Records, total: int) -> Records:
    """Show the progress of the thumbnails on a terminal; those of large photos take a while."""
    if not sys.stderr.isatty():
        return records
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(records, "thumbnails", total=total, console=console, transient=True)
