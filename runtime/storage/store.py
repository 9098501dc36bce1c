"""A store, as the rest of the program uses it: list, read, write on a condition, remove.

Each kind of store has its own :class:`.requests.Requests`; :class:`Store` adds what all have in
common. A write is one request, so an object is there as a whole or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

from nstbatch.runtime.errors import UsageError

from .addresses import RemotePath
from .requests import Requests, Version
from .retries import ChangedMeanwhileError, asked


class Store:
    """A store whose requests are tried again, and whose errors are in plain words.

    All raise an OSError, see :func:`.retries.asked`.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def list(self, folder: RemotePath, *, deep: bool) -> Iterator[RemotePath]:
        """Yield the objects in a folder by name, page by page; ``deep`` also those in subfolders.

        Each has its stamp.
        """
        prefix = f"{folder.key}/" if folder.key else ""
        start: str | None = None
        root = RemotePath(f"{folder.scheme}://{folder.bucket}")
        while True:
            page = asked(partial(self._requests.page, folder.bucket, prefix, deep, start), folder)
            for key, version in page.objects:
                if key != prefix and _is_plain(key):  # else a folder's own mark
                    yield (root / key).seen(version.stamp)
            if page.next is None:
                return
            start = page.next

    def version(self, path: RemotePath) -> Version | None:
        """Return an object's version; None if there is no such object."""
        try:
            return asked(partial(self._requests.version, path), path)
        except FileNotFoundError:
            return None

    def read(self, path: RemotePath) -> tuple[bytes, Version] | None:
        """Return a small object and its version; None if there is no such object."""
        try:
            return asked(partial(self._requests.read, path), path)
        except FileNotFoundError:
            return None

    def fetch(self, path: RemotePath, file: Path) -> None:
        """Copy an object into a file."""
        asked(partial(self._requests.fetch, path, file), path)

    def write(self, path: RemotePath, data: bytes) -> Version:
        """Write an object, in the place of another one of its name."""
        return asked(partial(self._requests.write, path, data, None), path)

    def write_if(self, path: RemotePath, data: bytes, expected: str) -> Version | None:
        """Write an object if its version is still the expected one; None if it is another.

        The bytes must differ from those of every other writer. An answer may be lost after the
        write was done; the next try then finds the condition broken by this write itself.
        """
        try:
            return asked(partial(self._requests.write, path, data, expected), path)
        except ChangedMeanwhileError:
            found = self.read(path)
            return found[1] if found is not None and found[0] == data else None
        except FileNotFoundError:  # it was removed since
            return None

    def remove(self, path: RemotePath) -> None:
        """Remove an object; one that is not there is removed already."""
        try:
            asked(partial(self._requests.remove, path), path)
        except FileNotFoundError:
            return


def _is_plain(key: str) -> bool:
    """Return True for a key that a path can name: no empty part, no "." and ".."."""
    return not {"", ".", ".."} & set(key.split("/"))


def pattern(text: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern such as ``**/*.jpg``, for whole keys."""
    from fsspec.utils import glob_translate

    return re.compile(glob_translate(text))


def store_of(path: RemotePath) -> Store:
    """Return the store that an address is of.

    Raises:
        UsageError: The packages for this kind of store are not installed.
    """
    return _opened(path.scheme)


@cache
def _opened(scheme: str) -> Store:
    from nstbatch.runtime.installing import install_command

    try:
        return Store(_requests(scheme))
    except ImportError as error:
        raise UsageError(
            f"Addresses {scheme}://... need packages that are not installed ({error.name}). "
            f"To install them: {install_command('storage')}"
        ) from error


def _requests(scheme: str) -> Requests:
    # Each imports a library of its own, which takes up to a second.
    match scheme:
        case "s3":
            from .s3 import S3Requests

            return S3Requests()
        case "gs":
            from .google import GoogleRequests

            return GoogleRequests()
        case "az":
            from .azure import AzureRequests

            return AzureRequests()
        case _:
            from .web import WebRequests

            return WebRequests()
