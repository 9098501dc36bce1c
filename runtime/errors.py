"""The few errors this project raises itself: what is wrong, what was expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NstbatchError(Exception):
    """Base of every error of this project; its text is a sentence for the user."""


class UsageError(NstbatchError):
    """A request that cannot be carried out: an unknown name, a bad value, a missing file."""


class UnknownNameError(UsageError):
    """A layer, model, device or other name that does not exist; the message lists those that do."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = list(known)
        close = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        super().__init__(f"Unknown {kind} {name!r}.{hint} Known: {', '.join(names)}.")


class ProviderError(UsageError):
    """A device that was asked for and cannot be used; says why and how to get it."""


class BundleError(NstbatchError):
    """A bundle, or a weights file, that is missing, damaged or of the wrong shape."""


class ImageError(NstbatchError):
    """A picture that cannot be read, written or worked on."""


class NonFiniteError(NstbatchError):
    """A run whose loss stopped being a finite number."""


class StoppedError(NstbatchError):
    """A pass that was ended in the middle, on request."""

    def __init__(self) -> None:
        super().__init__("It was stopped on request.")
