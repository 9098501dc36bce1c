"""What one client may ask of the service, and the error for a request that goes beyond it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limits:
    """The limits of a service; :mod:`nstbatch.cli.options.serving` has their defaults.

    Attributes:
        upload: Largest request, in bytes.
        side: Largest long side of a result, in pixels.
        steps: Largest number of iterations.
        waiting: Most jobs that wait, those included whose upload is under way.
        kept: Number of finished jobs to keep.
    """

    upload: int
    side: int
    steps: int
    waiting: int
    kept: int


@dataclass(eq=False)
class RefusedError(Exception):
    """A request that the service refuses.

    Attributes:
        status: The status code of HTTP.
        reason: A sentence for the client.
        headers: Further headers of the answer.
    """

    status: int
    reason: str
    headers: Mapping[str, str] = field(default_factory=dict)
