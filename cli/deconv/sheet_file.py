"""A single sheet with its numbers beside it, in a JSON file that also tells when it is finished."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.files import write_atomically
from nstbatch.runtime.pictures import images


@dataclass(frozen=True)
class OneSheet:
    """A sheet ``NAME.png`` and its numbers ``NAME.json``."""

    path: Path
    """Of the picture."""
    fingerprint: str
    """Of all that it depends on."""

    def is_finished(self, overwrite: bool) -> bool:
        """Whether it is there and does not have to be drawn again.

        Raises:
            UsageError: What is there is of other images or settings, and is not to be overwritten.
        """
        if overwrite or not self.path.is_file():
            return False
        if self.numbers().get("fingerprint") != self.fingerprint:
            raise UsageError(
                f"{printable(self.path)} is of other images or settings. Replace it with "
                "--overwrite, or choose another folder with --out."
            )
        return True

    def write(self, pixels: NDArray[np.float32], numbers: Mapping[str, object]) -> None:
        """Write both; the picture last, so that there is none without its numbers.

        Raises:
            ImageError, OSError: They cannot be written.
        """
        record = {"format": 1, "fingerprint": self.fingerprint, **numbers}
        text = json.dumps(record, indent=1, allow_nan=False)
        self.path.unlink(missing_ok=True)  # it would be taken for the picture of the new numbers
        write_atomically(self.path.with_suffix(".json"), f"{text}\n".encode())
        images.write(self.path, pixels)

    def numbers(self) -> dict[str, Any]:
        """What the file beside the picture says; nothing where it is missing or damaged."""
        try:
            record = json.loads(self.path.with_suffix(".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}
