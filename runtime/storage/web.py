"""Files on the web, ``https://``, through fsspec. They can only be read, one by one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import aiohttp
from fsspec.asyn import sync
from fsspec.implementations.http import HTTPFileSystem

from nstbatch.runtime.errors import UsageError

from .addresses import RemotePath
from .requests import Page, Requests, Version

# Seconds without a byte after which a server counts as silent. A guess.
SILENCE = 60


class WebRequests(Requests):
    """Requests to web servers."""

    def __init__(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=SILENCE, sock_read=SILENCE)
        self._files: Any = HTTPFileSystem(
            skip_instance_cache=True, use_listings_cache=False, client_kwargs={"timeout": timeout}
        )

    def page(self, bucket: str, prefix: str, deep: bool, start: str | None) -> Page:
        """Return an empty page: a web server lists nothing."""
        return Page([])

    def version(self, path: RemotePath) -> Version:
        """Ask for a file's head; a server that knows no HEAD request is asked for the file."""

        async def ask() -> Version:
            session = await self._files.set_session()
            url, options = _request(path)
            async with session.get(url, **options) as answer:
                answer.raise_for_status()
                headers: Mapping[str, str] = answer.headers
                name = headers.get("ETag", headers.get("Last-Modified", ""))
                return Version(int(headers.get("Content-Length", 0)), name)

        answer: Version = sync(self._files.loop, ask)
        return answer

    def read(self, path: RemotePath) -> tuple[bytes, Version]:
        """Refuse: nothing of ours lies on the web."""
        raise _read_only()

    def fetch(self, path: RemotePath, file: Path) -> None:
        """Copy a file from the web."""

        async def fetch() -> None:
            session = await self._files.set_session()
            url, options = _request(path)
            async with session.get(url, **options) as answer:
                answer.raise_for_status()
                with file.open("wb") as copy:
                    async for part in answer.content.iter_chunked(2**18):
                        copy.write(part)

        sync(self._files.loop, fetch)

    def write(self, path: RemotePath, data: bytes, expected: str | None) -> Version:
        """Refuse."""
        raise _read_only()

    def remove(self, path: RemotePath) -> None:
        """Refuse."""
        raise _read_only()


def _request(path: RemotePath) -> tuple[str, dict[str, Any]]:
    """Return the address to ask, and the user of it, who is sent in a header."""
    parts = urlsplit(path.address or str(path))
    user, has_user, host = parts.netloc.rpartition("@")
    if not has_user:
        return urlunsplit(parts), {}
    name, _, password = user.partition(":")
    login = aiohttp.encode_basic_auth(unquote(name), unquote(password), encoding="utf-8")
    return urlunsplit(parts._replace(netloc=host)), {"headers": {"Authorization": login}}


def _read_only() -> UsageError:
    return UsageError("Addresses of the web can only be read: give --out a folder or a bucket.")
