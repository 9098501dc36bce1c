"""Takes an upload in: from a request to a job that waits."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nstbatch.runtime.errors import ImageError, UsageError
from nstbatch.runtime.formats.content import Content, Kind
from nstbatch.runtime.pictures.images import check_whole

from .job import PHOTO, STYLE, Job, Order
from .job_options import job_options, offered
from .limits import Limits, RefusedError
from .uploads import Form, receive

if TYPE_CHECKING:
    from starlette.requests import Request

    from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions

    from .job_queue import JobQueue
    from .style_folder import StyleFolder

# Uploads that are decoded at a time, to see whether they are whole: each takes its own memory.
DECODED_TOGETHER = 2

LONGEST_NAME = 255

SUFFIXES: dict[Kind, str] = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "TIFF": ".tif",
    "AVIF": ".avif",
    "GIF": ".gif",
    "BMP": ".bmp",
    "HEIC": ".heic",
    "JXL": ".jxl",
    "RAW": ".dng",
}


class Intake:
    """Takes uploads in."""

    def __init__(
        self,
        queue: JobQueue,
        styles: StyleFolder,
        limits: Limits,
        check: Callable[[StyleTransferOptions], object],
    ) -> None:
        """Take nothing in yet.

        Args:
            queue: The jobs.
            styles: The styles that are offered by name.
            limits: The limits of the service.
            check: Raises a UsageError for options that the network cannot follow.
        """
        self._queue, self._styles, self._limits, self._check = queue, styles, limits, check
        self._decoding = asyncio.Semaphore(DECODED_TOGETHER)

    async def take(self, request: Request) -> Job:
        """Read an upload to disk, check it, and let it wait; of a refused one nothing is left.

        Raises:
            RefusedError: The queue is full, or the upload is wrong.
        """
        async with self._arrival() as folder:
            form = await receive(request, folder, (PHOTO, STYLE), self._limits.upload)
            async with self._decoding:
                order = await asyncio.to_thread(self._order, form, folder)
            return await asyncio.to_thread(self._queue.accept, order, folder)

    @asynccontextmanager
    async def _arrival(self) -> AsyncIterator[Path]:
        """Keep a place in the queue, and a folder, within a ``with`` block."""
        folder = self._queue.reserve()
        try:
            await asyncio.to_thread(folder.mkdir)
            yield folder
        except OSError as error:
            reason = f"The upload cannot be stored: {error.strerror}."
            raise RefusedError(507, reason) from error
        finally:
            await asyncio.to_thread(self._queue.release, folder)

    def _order(self, form: Form, folder: Path) -> Order:
        """Check the parts of a form, and return what is asked."""
        if PHOTO not in form.files:
            raise RefusedError(422, f"The form has no file {PHOTO!r}.")
        options = {name: values for name, values in form.fields.items() if name != STYLE}
        try:
            self._check(job_options(options, self._limits).painting)
        except UsageError as error:
            raise RefusedError(422, str(error)) from error
        style = _style(form, self._styles)
        return Order(
            id=secrets.token_hex(12),
            created=time.time(),
            name=form.files[PHOTO][:LONGEST_NAME],
            photo=_checked(folder / PHOTO),
            style=style,
            style_file=_checked(folder / STYLE) if style is None else None,
            options=options,
        )


def _style(form: Form, styles: StyleFolder) -> str | None:
    """Return the name of the style; None for an uploaded one."""
    named = [name for name in form.fields.get(STYLE, []) if name]
    if len(named) + (STYLE in form.files) != 1:
        raise RefusedError(422, "Give one style: its name, or a picture.")
    if not named:
        return None
    styles.path(named[0])
    return named[0]


def _checked(path: Path) -> str:
    """Decode a picture, give it the suffix of its format, and return its name."""
    kind = Content(path).kind if path.stat().st_size else None
    if kind is None:
        raise RefusedError(415, f"The {path.name} is no picture of a known format.")
    try:
        check_whole(path)
    except ImageError as error:
        raise RefusedError(422, f"The {path.name} cannot be used: {error}") from error
    return path.rename(path.with_suffix(SUFFIXES[kind])).name


def form_schema() -> dict[str, Any]:
    """Return the form of an upload as OpenAPI describes it."""
    picture = {"type": "string", "format": "binary"}
    texts = {"type": "string"}
    properties: dict[str, Any] = {
        PHOTO: {**picture, "description": "The photo."},
        STYLE: {"anyOf": [picture, texts], "description": "A picture, or the name of a style."},
    }
    for name, option in offered().items():
        described = {"type": "boolean"} if option.is_flag else texts
        properties[name] = {**described, "default": option.default}
    schema = {"type": "object", "required": [PHOTO, STYLE], "properties": properties}
    return {"multipart/form-data": {"schema": schema}}
