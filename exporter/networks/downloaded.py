"""Weights that are downloaded from an address, such as torchvision's model zoo."""

from __future__ import annotations

import re
import sys
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

import torch

from nstbatch.runtime.bundles.bundle import sha256_of
from nstbatch.runtime.errors import BundleError


@dataclass(frozen=True)
class DownloadedWeights:
    """A weights file of a model zoo; its name ends in the first digits of its SHA-256."""

    url: str
    origin: str
    licence: str

    def __str__(self) -> str:
        """Address and origin, as the manifest states them."""
        return f"{self.url} ({self.origin})"

    def fetch(self) -> Path:
        """The file in PyTorch's own cache; downloads it if it is missing.

        Raises:
            BundleError: It cannot be downloaded, or its SHA-256 is not the one in its name.
        """
        path = Path(
            torch.hub.get_dir(), "checkpoints", Path(urllib.parse.urlparse(self.url).path).name
        )
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                torch.hub.download_url_to_file(self.url, str(path), progress=sys.stderr.isatty())
            except OSError as error:
                raise BundleError(
                    f"Cannot download {self.url}: {error}. Name a weights file instead."
                ) from error
        return self._checked(path)

    def _checked(self, path: Path) -> Path:
        expected = re.search(r"-([0-9a-f]{8,})\.", path.name)
        found = sha256_of(path)
        if expected is None or not found.startswith(expected[1]):
            raise BundleError(
                f"{path} has the SHA-256 {found}, not the one in its name; remove it."
            )
        return path
