"""Reads an upload (multipart/form-data, RFC 7578) piece by piece from the network to disk.

Frameworks read a whole form before they call anybody: too late to refuse a large one, and text
fields would stay in memory. Here a request holds one piece in memory, whatever its size. Threads
write to disk, so that the event loop never waits.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from .limits import RefusedError

# Seconds without a byte after which an upload is given up, and seconds that one may take. Guesses.
SILENCE, LONGEST = 30.0, 900.0

# A form has a field for each option at most, and the longest value is a list of layers.
MOST_PARTS, LONGEST_VALUE = 100, 8192

# Seconds for which the rest of a refused upload is read. A guess.
FAREWELL = 10.0

CUT_OFF = "The upload was cut off: its end is missing."


class Form:
    """The parts of a form as they come in; files go to a folder."""

    def __init__(self, boundary: bytes, folder: Path, files: Collection[str]) -> None:
        """Read nothing yet.

        Args:
            boundary: The boundary of the parts, from the request's content type.
            folder: Where the files go, each under the name of its part.
            files: The names of the parts that may be files.
        """
        self.fields: dict[str, list[str]] = {}
        """The values of the parts that are no files, by name."""
        self.files: dict[str, str] = {}
        """The names that the files had at the client's, by the names of their parts."""
        self.is_complete = False
        """True once the boundary after the last part was read."""
        self._folder, self._allowed = folder, files
        self._parts = 0
        self._name = ""
        self._header, self._content = bytearray(), bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._file: BinaryIO | None = None
        self._ignored = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._read_header,
                "on_header_value": self._read_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._open,
                "on_part_data": self._read,
                "on_part_end": self._end,
                "on_end": self._complete,
            },
        )

    def write(self, data: bytes) -> None:
        """Take the next piece of the body.

        Raises:
            FormParserError: It is no such form.
            RefusedError: A part is unknown, there twice or too long.
        """
        self._parser.write(data)

    def close(self) -> None:
        """Close the file of an upload that has ended early."""
        if self._file is not None:
            self._file.close()

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise RefusedError(422, f"The form has more than {MOST_PARTS} parts.")
        self._disposition = b""
        self._content.clear()

    def _read_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _read_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _open(self) -> None:
        _, options = parse_options_header(self._disposition.decode("latin-1"))
        self._name = _text(options.get(b"name", b""))
        name = options.get(b"filename")
        # A browser sends a file without name and content for a field that was left empty.
        self._ignored = name == b""
        if name is None or self._ignored:
            return
        if self._name not in self._allowed:
            expected = " and ".join(sorted(self._allowed))
            raise RefusedError(422, f"Only {expected} may be files, not {self._name!r}.")
        if self._name in self.files:
            raise RefusedError(422, f"The form has two files {self._name!r}.")
        self.files[self._name] = _text(name)
        self._file = (self._folder / self._name).open("xb")

    def _read(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(memoryview(data)[start:end])
        elif not self._ignored:
            self._content += data[start:end]
            if len(self._content) > LONGEST_VALUE:
                raise RefusedError(422, f"The value of {self._name!r} is too long.")

    def _end(self) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
        elif not self._ignored:
            self.fields.setdefault(self._name, []).append(_text(bytes(self._content)))

    def _complete(self) -> None:
        self.is_complete = True


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


async def receive(request: Request, folder: Path, files: Collection[str], largest: int) -> Form:
    """Read the form of a request; its files go to a folder.

    Args:
        request: The request.
        folder: See :class:`Form`.
        files: See :class:`Form`.
        largest: Largest number of bytes of the request.

    Raises:
        RefusedError: It is no form, too large, too slow or cut off, or a part is wrong.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise RefusedError(415, "Send the photo as a form: multipart/form-data with a boundary.")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > largest:
        raise too_large(largest)
    try:
        form = Form(options[b"boundary"], folder, files)
        await _read(request, form, largest)
    except FormParserError as error:
        raise RefusedError(400, f"The form cannot be read: {error}.") from error
    if not form.is_complete:
        raise RefusedError(400, CUT_OFF)
    return form


async def _read(request: Request, form: Form, largest: int) -> None:
    clock, taken = asyncio.get_running_loop().time, 0
    end = clock() + LONGEST
    try:
        async with asyncio.timeout(SILENCE) as patience:
            async for data in request.stream():
                taken += len(data)
                if taken > largest:
                    raise too_large(largest)
                await asyncio.to_thread(form.write, data)
                patience.reschedule(min(clock() + SILENCE, end))
    except ClientDisconnect as error:
        raise RefusedError(400, CUT_OFF) from error
    except TimeoutError as error:
        raise RefusedError(408, "The upload took too long.") from error
    finally:
        form.close()


def too_large(largest: int) -> RefusedError:
    """The error for a request of more bytes."""
    return RefusedError(413, f"The upload is too large: it may have {largest:,} bytes.")


async def read_rest(request: Request, most: int) -> None:
    """Read the rest of a refused upload and throw it away.

    A client that is still sending would else meet a closed connection, and not read the answer. One
    that waits to be told to go on (Expect: 100-continue) is not kept waiting.

    Args:
        request: The request.
        most: Most bytes to read.
    """
    if "expect" in request.headers:
        return
    try:
        async with asyncio.timeout(FAREWELL):
            async for data in request.stream():
                most -= len(data)
                if most < 0:
                    return
    except (ClientDisconnect, TimeoutError, RuntimeError):
        return
