"""The contact sheet of a batch of all photos in all styles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.storage.addresses import RemotePath
from nstbatch.runtime.storage.store import store_of

if TYPE_CHECKING:
    from nstbatch.cli.jobs.plan import Job
    from nstbatch.runtime.pictures.contact_sheet import LabelledPicture

NAME = "nstbatch-styles.jpg"
"""The sheet, in the output folder."""

CELL = 240  # pixels of a picture's long side on the sheet


def write_sheet(out: Path, jobs: Sequence[Job]) -> Path | None:
    """Write the sheet of the pictures that are there: a row a photo, a column a style.

    Returns:
        Its path; None if there is no picture.

    Raises:
        ImageError: It cannot be written.
    """
    from nstbatch.runtime.pictures.contact_sheet import contact_sheet
    from nstbatch.runtime.pictures.images import encode, write

    # By name: a call for a part of the pictures, such as retry's, has them in another order.
    styles = sorted({job.sources["style"] for job in jobs}, key=lambda path: path.name)
    photos = sorted({job.input for job in jobs})
    shown = {(job.input, job.sources["style"]): _shown(job.output) for job in jobs}
    # The column of a style that cannot be read is left out.
    columns = [style for style in styles if any(shown.get((photo, style)) for photo in photos)]
    if not columns:
        return None
    sheet = contact_sheet(
        [[shown.get((photo, style)) for style in columns] for photo in photos],
        row_headings=[photo.name for photo in photos],
        column_headings=[style.stem for style in columns],
        cell_size=CELL,
    )
    path = out / NAME
    if isinstance(path, RemotePath):
        store_of(path).write(path, encode(path.suffix, sheet))
    else:
        write(path, sheet)
    return path


def _shown(picture: Path) -> LabelledPicture | None:
    from nstbatch.runtime.pictures.contact_sheet import LabelledPicture
    from nstbatch.runtime.pictures.images import read

    try:
        return LabelledPicture(read(picture, at_least=CELL).pixels)
    except ImageError:
        return None
