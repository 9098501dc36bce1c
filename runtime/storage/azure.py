"""Azure Blob Storage, through adlfs: ``az://container/name``.

Account and credentials come from the environment (``AZURE_STORAGE_CONNECTION_STRING``, or
``AZURE_STORAGE_ACCOUNT_NAME`` with a key or a login). Conditions are ETags.
"""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import adlfs
from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError
from azure.storage.blob import BlobPrefix
from fsspec.asyn import sync

from .addresses import RemotePath
from .requests import ABSENT, Page, Requests, Version
from .retries import ChangedMeanwhileError

Answer = TypeVar("Answer")


class AzureRequests(Requests):
    """Requests to Azure Blob Storage."""

    def __init__(self) -> None:
        # Its own tries would multiply with those of retries.py.
        self._files: Any = adlfs.AzureBlobFileSystem(
            anon=False, skip_instance_cache=True, use_listings_cache=False
        )

    def page(self, bucket: str, prefix: str, deep: bool, start: str | None) -> Page:
        """List a page of names."""

        async def page() -> Page:
            async with self._files.service_client.get_container_client(bucket) as container:
                names: dict[str, Any] = {"name_starts_with": prefix, "retry_total": 0}
                found = container.list_blobs(**names) if deep else container.walk_blobs(**names)
                pages = found.by_page(continuation_token=start)
                each = [blob async for blob in await anext(pages)]
                objects = [
                    (blob.name, _version(blob)) for blob in each if not isinstance(blob, BlobPrefix)
                ]
                return Page(objects, pages.continuation_token or None)

        return self._now(page())

    def version(self, path: RemotePath) -> Version:
        """Ask for a blob's properties."""

        async def version() -> Version:
            async with self._blob(path) as blob:
                return _version(await blob.get_blob_properties(retry_total=0))

        return self._now(version())

    def read(self, path: RemotePath) -> tuple[bytes, Version]:
        """Read a small blob."""

        async def read() -> tuple[bytes, Version]:
            async with self._blob(path) as blob:
                found = await blob.download_blob(retry_total=0)
                return await found.readall(), _version(found.properties)

        return self._now(read())

    def fetch(self, path: RemotePath, file: Path) -> None:
        """Copy a blob into a file."""

        async def fetch() -> None:
            async with self._blob(path) as blob:
                found = await blob.download_blob(retry_total=0)
                with file.open("wb") as copy:
                    await found.readinto(copy)

        self._now(fetch())

    def write(self, path: RemotePath, data: bytes, expected: str | None) -> Version:
        """Upload a block blob in one request: the library commits it last."""
        condition: dict[str, Any] = {"overwrite": True}
        if expected == ABSENT:
            condition = {"overwrite": False}
        elif expected is not None:
            condition |= {"etag": expected, "match_condition": MatchConditions.IfNotModified}

        async def write() -> Version:
            async with self._blob(path) as blob:
                try:
                    found = await blob.upload_blob(data, retry_total=0, **condition)
                except (ResourceExistsError, ResourceModifiedError):  # statuses 409 and 412
                    raise ChangedMeanwhileError from None
                return Version(len(data), found["etag"], found["last_modified"].timestamp())

        return self._now(write())

    def remove(self, path: RemotePath) -> None:
        """Delete a blob."""

        async def remove() -> None:
            async with self._blob(path) as blob:
                await blob.delete_blob(retry_total=0)

        self._now(remove())

    def _blob(self, path: RemotePath) -> Any:
        return self._files.service_client.get_blob_client(path.bucket, path.key)

    def _now(self, request: Coroutine[Any, Any, Answer]) -> Answer:
        async def wait() -> Answer:
            return await request

        answer: Answer = sync(self._files.loop, wait)
        return answer


def _version(found: Any) -> Version:
    # Quoted in some answers of the service, and not in its listings.
    name = str(found.etag)
    return Version(
        found.size, name if name.startswith('"') else f'"{name}"', found.last_modified.timestamp()
    )
