"""Addresses of objects in stores: ``s3://bucket/key``, ``gs://``, ``az://``, ``https://``.

An address of the web may hold a user's password or a signature, which must not reach a ledger, a
recipe or a message. So a :class:`RemotePath` is a path whose text is the address without them; the
whole address is kept beside it, for the request alone.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from nstbatch.runtime.errors import UsageError

if sys.platform == "win32":
    from pathlib import WindowsPath as _LocalPath
else:
    from pathlib import PosixPath as _LocalPath

WEB = ("http", "https")
SCHEMES = ("s3", "gs", "az", *WEB)

Stamp: TypeAlias = tuple[int, int, int]
"""Tells two versions of a file apart: its size in bytes, and the times of the last change of its
content and metadata in nanoseconds; of an object its size, 0, and a number for its version."""

_ADDRESS = re.compile(rf"({'|'.join(SCHEMES)}):/{{1,2}}(?=[^/])", re.IGNORECASE)
# An address within a word of a command line, such as --style=https://user:password@host/a.jpg?sig=x
_SECRETS = re.compile(rf"\b({'|'.join(SCHEMES)})://(?:[^/@\s]*@)?([^?#\s]*)(\S*)", re.IGNORECASE)


class RemotePath(_LocalPath):
    """The address of an object or a prefix, as a path; its text holds no credentials."""

    address: str = ""
    """The whole address for requests, with what its text leaves out; empty if that is nothing."""

    stamp: Stamp | None = None
    """The stamp that the object had when it was listed; None if it was not, or the store has no
    versions."""

    def __str__(self) -> str:
        """Return the address without credentials."""
        text = super().__str__().replace(os.sep, "/")
        match = _ADDRESS.match(text)
        return text if match is None else f"{match[1]}://{text[match.end() :]}"

    def __fspath__(self) -> str:
        """Return the address without credentials."""
        return str(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the whole address too, for a process that is to read the object."""
        return _restored, (str(self), self.address, self.stamp)

    def absolute(self) -> RemotePath:
        """Return the path: an address does not depend on the current folder."""
        return self

    @property
    def scheme(self) -> str:
        """The kind of the store: "s3"."""
        return self.parts[0].rstrip(":")

    @property
    def bucket(self) -> str:
        """The bucket or container, or the host."""
        return self.parts[1]

    @property
    def key(self) -> str:
        """The name within the bucket; empty for all of it."""
        return "/".join(self.parts[2:])

    @property
    def is_of_the_web(self) -> bool:
        """True for an address of the web, which can only be read."""
        return self.scheme in WEB

    def seen(self, stamp: Stamp | None) -> RemotePath:
        """Return the same path with the stamp of its object."""
        return _restored(str(self), self.address, stamp)


def _restored(text: str, address: str, stamp: Stamp | None) -> RemotePath:
    path = RemotePath(text)
    path.address, path.stamp = address, stamp
    return path


def is_address(text: str) -> bool:
    """Return True for a text that is the address of an object, not the name of a file."""
    return _ADDRESS.match(text) is not None


def located(place: str | os.PathLike[str]) -> Path:
    """Return the path of a file, or the :class:`RemotePath` of an address.

    Raises:
        UsageError: The address is one that no object can have.
    """
    if isinstance(place, RemotePath):
        return place
    text = os.fspath(place)
    match = _ADDRESS.match(text)
    if match is None:
        return Path(text)
    scheme, rest = match[1].lower(), text[match.end() :]
    if scheme in WEB:
        return _of_the_web(f"{scheme}://{rest}")
    bucket, _, key = rest.partition("/")
    path = RemotePath(f"{scheme}://{rest}")
    if "@" in bucket:
        raise UsageError(
            f"An address {scheme}://... takes no credentials: give them as the store's own "
            "programs take them, in the environment or its settings file."
        )
    if ".." in key.split("/"):
        raise UsageError(f"The address {path} has a part '..', which no address may have.")
    return path


def _of_the_web(address: str) -> RemotePath:
    parts = urlsplit(address)
    try:
        parts.port  # noqa: B018, it raises
    except ValueError:  # not quoted: it may be a part of a password
        raise UsageError(
            "An address of the web has a port that is no number. In a password, write a slash as "
            "%2F and an @ as %40."
        ) from None
    host = parts.netloc.rpartition("@")[2]
    text = urlunsplit((parts.scheme, host, parts.path, "", ""))
    return _restored(text, "" if text == address else address, None)


def without_credentials(word: str) -> str:
    """Return a word of a command line; of an address in it only what is no secret."""
    return _SECRETS.sub(lambda match: f"{match[1]}://{match[2]}{_rest(*match.groups())}", word)


def _rest(scheme: str, _: str, rest: str) -> str:
    return "" if scheme.lower() in WEB else rest  # "?" and "#" are letters of other names


def with_whole_query(word: str) -> str:
    """Spell the slashes in the query of an address so that a path does not change them."""
    if not _ADDRESS.match(word):
        return word
    before, mark, query = word.partition("?")
    is_of_the_web = before.partition(":")[0].lower() in WEB
    return f"{before}{mark}{query.replace('/', '%2F')}" if is_of_the_web else word
