"""The inputs of a batch from elsewhere than its words: a list, and a picture that is piped in."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nstbatch.cli.jobs.parameters import STREAM
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.storage.addresses import located

# Windows' Notepad begins files with it.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class InputOptions:
    """The options that say which files a batch takes.

    Attributes:
        from_file: A list of inputs; "-" for one on standard input.
        null: True if NULs end the names, in the list and in the output.
        include: Patterns of the files to take from folders.
        exclude: Patterns of the files and folders to leave out.
        stored_in: The file that holds the picture from standard input, if one is asked for.
    """

    from_file: Path | None = None
    null: bool = False
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    stored_in: Path | None = None

    @property
    def are_piped(self) -> bool:
        """True if a picture or the list comes from standard input."""
        return self.stored_in is not None or self.from_file == STREAM

    def listed(self) -> list[Path]:
        """Return the files and folders in the list; relative ones start from the current folder.

        Raises:
            UsageError: The list cannot be read.
        """
        if self.from_file is None:
            return []
        name = printable(self.from_file)
        if self.from_file == STREAM:
            data, name = read_standard_input("a list"), "The list on standard input"
        else:
            try:
                data = self.from_file.read_bytes()
            except OSError as error:
                raise UsageError(f"{name} cannot be read: {error.strerror}.") from error
        if self.null:
            names = data.split(b"\0")
        elif b"\0" in data:
            raise UsageError(f"{name} has NULs between its names: give --null.")
        else:
            names = [
                line.removesuffix(b"\r") for line in data.removeprefix(BYTE_ORDER_MARK).split(b"\n")
            ]
        return [located(os.fsdecode(name)) for name in names if name]


def read_standard_input(what: str) -> bytes:
    """Read all of standard input; a UsageError if that is somebody at a keyboard."""
    if sys.stdin.isatty():
        raise UsageError(f"Standard input is a terminal: pipe {what} into it.")
    return sys.stdin.buffer.read()
