"""Google Cloud Storage, through gcsfs.

Credentials come from where Google's own programs take them (``GOOGLE_APPLICATION_CREDENTIALS``, or
``gcloud auth application-default login``). Conditions are generations of objects.
"""

from __future__ import annotations

import inspect
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import gcsfs

from .addresses import RemotePath
from .requests import ABSENT, Page, Requests, Version

OBJECTS = "b/{}/o"

_ONCE = inspect.unwrap(gcsfs.GCSFileSystem._request)


class _FilesOnce(gcsfs.GCSFileSystem):  # type: ignore[misc]  # it ships no types
    """The library's files without its own tries, which would multiply with those of retries.py."""

    async def _request(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await _ONCE(self, *arguments, **options)
        except OSError as error:
            if str(error).startswith("Forbidden"):  # it has no kind of its own
                raise PermissionError from None
            raise


class GoogleRequests(Requests):
    """Requests to the JSON API of Google Cloud Storage."""

    def __init__(self) -> None:
        self._files: Any = _FilesOnce(skip_instance_cache=True, use_listings_cache=False)

    def page(self, bucket: str, prefix: str, deep: bool, start: str | None) -> Page:
        """List a page of names."""
        more = {} if deep else {"delimiter": "/"}
        if start is not None:
            more["pageToken"] = start
        found = self._files.call("GET", OBJECTS, bucket, prefix=prefix, json_out=True, **more)
        return Page(
            [(each["name"], _version(each)) for each in found.get("items", ())],
            found.get("nextPageToken"),
        )

    def version(self, path: RemotePath) -> Version:
        """Ask for an object's resource."""
        return _version(
            self._files.call("GET", f"{OBJECTS}/{{}}", path.bucket, path.key, json_out=True)
        )

    def read(self, path: RemotePath) -> tuple[bytes, Version]:
        """Read an object."""
        headers, data = self._files.call(
            "GET", f"{OBJECTS}/{{}}", path.bucket, path.key, alt="media"
        )
        modified = headers.get("Last-Modified")
        seconds = parsedate_to_datetime(modified).timestamp() if modified else 0.0
        return bytes(data), Version(len(data), headers["X-Goog-Generation"], seconds)

    def fetch(self, path: RemotePath, file: Path) -> None:
        """Copy an object into a file; a photo fits into memory anyway."""
        file.write_bytes(self.read(path)[0])

    def write(self, path: RemotePath, data: bytes, expected: str | None) -> Version:
        """Upload an object in one request."""
        condition = {}
        if expected is not None:
            condition = {"ifGenerationMatch": "0" if expected == ABSENT else expected}
        found = self._files.call(
            "POST",
            f"{self._files._location}/upload/storage/v1/b/{{}}/o",
            path.bucket,
            uploadType="media",
            name=path.key,
            headers={"Content-Type": "application/octet-stream"},
            data=data,
            json_out=True,
            **condition,
        )
        return _version(found)

    def remove(self, path: RemotePath) -> None:
        """Delete an object."""
        self._files.call("DELETE", f"{OBJECTS}/{{}}", path.bucket, path.key)


def _version(found: dict[str, Any]) -> Version:
    updated = found.get("updated")
    seconds = datetime.fromisoformat(updated).timestamp() if updated else 0.0
    return Version(int(found["size"]), str(found["generation"]), seconds)
