"""Single requests to a store: the part that each kind of store has of its own."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .addresses import RemotePath, Stamp

ABSENT = ""
"""The version of an object that is not there."""


@dataclass(frozen=True)
class Version:
    """One version of an object.

    Attributes:
        size: In bytes.
        name: The store's word for the version, such as an ETag; empty if the store has none.
        modified: When it was written by the store's clock, in seconds since 1970; 0 if unknown.
    """

    size: int
    name: str
    modified: float = 0.0

    @property
    def stamp(self) -> Stamp | None:
        """The stamp of the version, as a ledger keeps it."""
        if not self.name:
            return None
        number = hashlib.sha256(self.name.encode()).digest()[:6]
        return self.size, 0, int.from_bytes(number)


@dataclass(frozen=True)
class Page:
    """A part of a listing: objects by their keys, and where it goes on."""

    objects: Sequence[tuple[str, Version]]
    next: str | None = None


class Requests(ABC):
    """Single requests to a store; each raises the errors of the library that sends it."""

    @abstractmethod
    def page(self, bucket: str, prefix: str, deep: bool, start: str | None) -> Page:
        """List keys that begin with a prefix; without ``deep`` only up to the next slash."""

    @abstractmethod
    def version(self, path: RemotePath) -> Version:
        """Ask for an object's version."""

    @abstractmethod
    def read(self, path: RemotePath) -> tuple[bytes, Version]:
        """Read a small object."""

    @abstractmethod
    def fetch(self, path: RemotePath, file: Path) -> None:
        """Copy an object into a file."""

    @abstractmethod
    def write(self, path: RemotePath, data: bytes, expected: str | None) -> Version:
        """Write an object in one request, if its version is the expected one (None: any)."""

    @abstractmethod
    def remove(self, path: RemotePath) -> None:
        """Remove an object, if it is there."""
