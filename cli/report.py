"""``nstbatch report``: a page that shows what became of a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .text import printable

Folder = Annotated[
    Path,
    typer.Argument(metavar="FOLDER", help="The output folder of a batch.", show_default=False),
]
Open = Annotated[bool, typer.Option("--open", help="Show the page in the browser.")]


def report(folder: Folder, show: Open = False) -> None:
    """Make a page that shows what became of a batch.

    Reads the ledger in the output folder, and writes FOLDER/report.html: one file that
    works from disk and needs no network. Prints its path.
    """
    from .report_page import write_page

    page = write_page(folder)
    print(printable(page), flush=True)
    if show:
        typer.launch(page.absolute().as_uri())
