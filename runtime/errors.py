"""The project's own errors. Each says what is wrong, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NstbatchError(Exception):
    """Base of every error of this project; its text is a sentence for the user."""


class UsageError(NstbatchError):
    """A request that cannot be carried out: an unknown name, a bad value, a missing file."""


class UnknownNameError(UsageError):
    """A layer, model, device or other name does not exist; the message lists the valid ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = list(known)
        close = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        colon = ":" if " " in kind else ""  # else the name seems to be that of the place
        super().__init__(f"Unknown {kind}{colon} {name!r}.{hint} Known: {', '.join(names)}.")


class ProviderError(UsageError):
    """A requested device cannot be used; the message says why and how to make it usable."""


class BundleError(NstbatchError):
    """A bundle or a weights file is missing, damaged or of the wrong shape."""


class ImageError(NstbatchError):
    """A picture cannot be read, written or processed."""


class NonFiniteError(NstbatchError):
    """The loss of a run is no longer a finite number."""


class StoppedError(NstbatchError):
    """A run was stopped on request before it was complete."""

    def __init__(self) -> None:
        super().__init__("It was stopped on request.")
