"""A job of the service: what was asked, and how far it is."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nstbatch.cli.text import printable

if TYPE_CHECKING:
    from nstbatch.runtime.descent.progress import Progress

FORMAT = 1
"""Version of the file of a job."""

PHOTO, STYLE = "photo", "style"
"""The names of the two files of an upload."""


class State(StrEnum):
    """How far a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_end(self) -> bool:
        """True if the job will not change any more."""
        return self in (State.DONE, State.FAILED)


@dataclass(frozen=True)
class Order:
    """What a client has asked for.

    Attributes:
        id: Name of the job, and of its folder.
        created: Time of the upload, in seconds since 1970.
        name: Name of the photo's file at the client's.
        photo: Name of the photo's file in the folder of the job.
        style: Name of a style of the service; None for one that was uploaded.
        style_file: Name of the uploaded style's file in the folder of the job.
        options: The options as they were sent; see :func:`.job_options.job_options`.
    """

    id: str
    created: float
    name: str
    photo: str
    style: str | None
    style_file: str | None
    options: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class End:
    """The end of a job.

    Attributes:
        state: Done or failed.
        reason: Why it failed.
        picture: Path of the result in the folder of the job.
        seconds: Duration of the painting.
        steps: Number of steps.
        width: Width of the result in pixels.
        height: Height of the result.
        losses: The weighted losses at the end, and their "total".
    """

    state: State
    reason: str | None = None
    picture: str | None = None
    seconds: float = 0.0
    steps: int = 0
    width: int = 0
    height: int = 0
    losses: Mapping[str, float] = field(default_factory=dict)


@dataclass(eq=False)
class Job:
    """A job, of which painters change the state."""

    order: Order
    folder: Path
    end: End | None = None
    is_running: bool = False
    progress: Progress | None = None
    removed: threading.Event = field(default_factory=threading.Event)
    """Set when the client has removed the job; its painter then stops."""

    @property
    def state(self) -> State:
        """How far it is."""
        if self.end is not None:
            return self.end.state
        return State.RUNNING if self.is_running else State.WAITING

    @property
    def photo(self) -> Path:
        """The file of the photo."""
        return self.folder / self.order.photo

    @property
    def picture(self) -> Path | None:
        """The file of the result; None as long as there is none."""
        picture = None if self.end is None else self.end.picture
        return None if picture is None else self.folder / picture

    def record(self, end: End | None) -> bytes:
        """Return the content of the job's file, with this end."""
        fields = {"format": FORMAT, "order": asdict(self.order), "end": end and asdict(end)}
        return json.dumps(fields).encode()

    @classmethod
    def parse(cls, data: bytes, folder: Path) -> Job:
        """Read the file of a job.

        Raises:
            ValueError: It is damaged, or of another version.
        """
        try:
            fields = json.loads(data)
            if fields["format"] != FORMAT:
                raise ValueError(f"format {fields['format']}")
            end = fields["end"] and End(**{**fields["end"], "state": State(fields["end"]["state"])})
            return cls(Order(**fields["order"]), folder, end)
        except (KeyError, TypeError) as error:
            raise ValueError(str(error)) from error

    def view(self, ahead: int | None) -> dict[str, Any]:
        """Return what clients see of it.

        Args:
            ahead: Number of jobs that wait before this one; None if it does not wait.
        """
        order, end, progress = self.order, self.end, self.progress
        created = datetime.fromtimestamp(order.created, UTC).isoformat(timespec="milliseconds")
        return {
            "id": order.id,
            "state": self.state.value,
            "name": printable(order.name),
            "style": order.style,
            "options": {name: _plain(values) for name, values in order.options.items()},
            "created": created,
            "ahead": ahead,
            "progress": None if end or progress is None else _progress(progress),
            "reason": end and end.reason,
            "result": end and end.picture and _result(order.id, end),
        }


def _plain(values: Sequence[str]) -> object:
    return values[0] if len(values) == 1 else list(values)


def _progress(progress: Progress) -> dict[str, Any]:
    return {
        "share": round(progress.share, 4),
        "step": progress.step,
        "steps": progress.steps,
        "width": progress.width,
        "height": progress.height,
        "loss": progress.losses.get("total"),
    }


def _result(name: str, end: End) -> dict[str, Any]:
    return {
        "picture": f"/jobs/{name}/picture",
        "width": end.width,
        "height": end.height,
        "seconds": round(end.seconds, 3),
        "steps": end.steps,
        "losses": dict(end.losses),
    }
