"""Amazon S3, and stores that speak its language, through s3fs.

Credentials, region and endpoint come from the environment and AWS's files, as for its own programs
(``AWS_PROFILE``, ``AWS_ENDPOINT_URL``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import s3fs
from fsspec.asyn import sync

from .addresses import RemotePath
from .requests import ABSENT, Page, Requests, Version

KEYS_ON_A_PAGE = 1000
"""The most that S3 lists at a time."""


class S3Requests(Requests):
    """Requests to S3; conditions are ``If-None-Match: *`` and ``If-Match``."""

    def __init__(self) -> None:
        # Tried once: retries are all in one place, see retries.py.
        self._files: Any = s3fs.S3FileSystem(
            config_kwargs={"retries": {"total_max_attempts": 1}},
            skip_instance_cache=True,
            use_listings_cache=False,
        )
        self._files.retries = 1

    def page(self, bucket: str, prefix: str, deep: bool, start: str | None) -> Page:
        """List a page of keys."""
        more: dict[str, Any] = {} if deep else {"Delimiter": "/"}
        if start is not None:
            more["ContinuationToken"] = start
        found = self._files.call_s3(
            "list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=KEYS_ON_A_PAGE, **more
        )
        return Page(
            [(each["Key"], _version(each, each["Size"])) for each in found.get("Contents", ())],
            found.get("NextContinuationToken"),
        )

    def version(self, path: RemotePath) -> Version:
        """Ask for an object's head."""
        found = self._files.call_s3("head_object", Bucket=path.bucket, Key=path.key)
        return _version(found, found["ContentLength"])

    def read(self, path: RemotePath) -> tuple[bytes, Version]:
        """Read a small object."""

        async def read() -> tuple[bytes, Version]:
            found = await self._files._call_s3("get_object", Bucket=path.bucket, Key=path.key)
            async with found["Body"] as body:
                data: bytes = await body.read()
            return data, _version(found, len(data))

        answer: tuple[bytes, Version] = sync(self._files.loop, read)
        return answer

    def fetch(self, path: RemotePath, file: Path) -> None:
        """Copy an object into a file."""
        self._files.get_file(f"{path.bucket}/{path.key}", str(file))

    def write(self, path: RemotePath, data: bytes, expected: str | None) -> Version:
        """Put an object."""
        condition: dict[str, str] = {}
        if expected is not None:
            condition = {"IfNoneMatch": "*"} if expected == ABSENT else {"IfMatch": expected}
        found = self._files.call_s3(
            "put_object", Bucket=path.bucket, Key=path.key, Body=data, **condition
        )
        return _version(found, len(data))

    def remove(self, path: RemotePath) -> None:
        """Delete an object."""
        self._files.call_s3("delete_object", Bucket=path.bucket, Key=path.key)


def _version(found: dict[str, Any], size: int) -> Version:
    modified = found.get("LastModified")
    return Version(size, found["ETag"].strip('"'), modified.timestamp() if modified else 0.0)
