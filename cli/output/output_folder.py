"""The output folder of a batch under way: pictures, ledger and claims, kept consistent.

A picture gets its name only when it is complete. Its line in the ledger follows; if the process is
killed in between, the next run adds the line (:mod:`.claims`). So it may be killed at any moment.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import nstbatch
from nstbatch.cli.jobs.invocation import Invocation
from nstbatch.cli.jobs.plan import Job
from nstbatch.cli.text import printable
from nstbatch.runtime.devices.devices import installed_versions
from nstbatch.runtime.errors import ImageError, UsageError

from .fingerprint import Hashed, Origin, stamp
from .kept import kept_in
from .ledger_lines import PictureLine
from .picture_writer import PictureWriter
from .snapshots import Snapshots
from .survey import is_as_made, key_of

if TYPE_CHECKING:
    from nstbatch.cli.jobs.painting import Outcome, Painting
    from nstbatch.runtime.bundles.bundle import Bundle

    from .kept import KeptClaim

log = logging.getLogger(__name__)

COMPANIONS = "companions"
"""Field of an intent: the number of further files, which are written before the picture."""


@dataclass(frozen=True)
class NetworkRecord:
    """The network of a run, for the ledger."""

    name: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, networks: Sequence[Bundle]) -> NetworkRecord:
        """Return the record of one network, or of several together."""
        if len(networks) == 1:
            return cls(networks[0].name, networks[0].sha256)
        hashes = {
            f"{each.name}/{file}": sha256
            for each in networks
            for file, sha256 in each.sha256.items()
        }
        return cls(", ".join(each.name for each in networks), hashes)


class OutputFolder:
    """The folder that a batch writes its pictures to."""

    def __init__(
        self,
        path: Path,
        writer: PictureWriter | None = None,
        *,
        alone: bool = False,
        snapshots: int = 0,
    ) -> None:
        """Read the ledger, and change nothing yet.

        Args:
            path: The folder; it need not exist.
            writer: Makes the files of pictures; by default one with the default options.
            alone: True for one picture in a folder that is no output folder. Nothing is written
                beside it but a hidden ledger, and its snapshots.
            snapshots: Number of pictures on the way to each; see :mod:`.snapshots`.

        Raises:
            UsageError: The ledger cannot be read.
        """
        self.path = path
        self.writer = writer or PictureWriter()
        self.run = secrets.token_hex(6)
        self._alone = alone
        self._snapshots = snapshots
        self._place, self._claims, self.ledger = kept_in(path, alone=alone)

    def __enter__(self) -> OutputFolder:
        """Check that everything can be written, and clean up after killed runs.

        Raises:
            UsageError: A file or folder cannot be written.
        """
        self._place.check_writable()
        self._claims.check_writable()
        self.ledger.check_writable()
        try:
            self._place.sweep()
            for claim in self._claims.left_behind():
                with claim:
                    self._recover(claim)
            self.ledger.refresh()
        except OSError as error:
            raise UsageError(
                f"The output folder {printable(self.path)} cannot be used: {error.strerror}."
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the files that only served the batch."""
        self._claims.close()

    def begin(self, invocation: Invocation, origin: Origin, bundle: NetworkRecord) -> None:
        """Write the ledger's line about this run, and its settings file."""
        if invocation.verb and not self._alone:
            self._place.save_settings(invocation)
        self.ledger.append(
            {
                "kind": "run",
                "run": self.run,
                "time": _now(),
                "verb": invocation.verb,
                "command": invocation.command,
                "cwd": os.fspath(Path.cwd()),
                "settings": dict(invocation.settings),
                "style": _style(invocation),
                "files": dict(origin.files),
                "versions": _versions(),
                "bundle": {"name": bundle.name, "sha256": dict(bundle.sha256)},
            }
        )

    def claim(self, job: Job) -> KeptClaim | None:
        """Claim a picture; return None if another process has claimed it.

        Raises:
            BatchStoppedError: The folder is gone.
        """
        self._place.check()
        claim = self._claims.take(key_of(job.output, self.path))
        if claim is not None:
            try:
                self._recover(claim)
                self.ledger.refresh()
            except BaseException:
                claim.__exit__(None, None, None)
                raise
        return claim

    def snapshots(self, claim: KeptClaim, job: Job) -> Snapshots:
        """Return what takes the snapshots of a picture; an OSError if old ones cannot go."""
        encode = partial(self.writer.encode_snapshot, job)
        return Snapshots(job.output, self._snapshots, encode, claim.token)

    def keep(
        self,
        claim: KeptClaim,
        job: Job,
        painting: Painting,
        outcome: Outcome,
        made_from: tuple[str | None, Hashed | None],
        curve: list[list[float]],
    ) -> None:
        """Write a finished picture, and then its line in the ledger.

        Args:
            claim: The claim on the picture.
            job: The job.
            painting: The finished painting.
            outcome: The outcome of the job, for the ledger.
            made_from: The fingerprint and the photo's hash.
            curve: Points [step, total loss].

        Raises:
            BatchStoppedError: The folder is gone.
            ImageError: The picture's format cannot hold it, or it cannot be written, or a file that
                belongs to it has the name of one that is there already.
            OSError: The ledger cannot be written. The picture has been written, and the next run
                will add its line.
        """
        file = self.writer.encode(job, painting)
        self._place.check()
        height, width = painting.image.shape[:2]
        record = self._line(job, outcome, made_from) | {
            "curve": curve,
            "output_sha256": hashlib.sha256(file.data).hexdigest(),
            "width": width,
            "height": height,
        }
        companions = self._companions(job, painting)
        try:
            claim.intend(record | {COMPANIONS: len(companions)})
            for path, companion in companions.items():
                self._place.write(path, companion, claim.token)
            # The picture comes last: if it exists, all its files exist.
            written = self._place.write(job.output, file.data, claim.token, file.modified_ns)
        except OSError as error:
            self._remove_companions(job.output, companions)
            claim.carried_out()
            raise ImageError(f"The picture cannot be written: {error.strerror}.") from error
        self.ledger.append(record | {"output_stamp": written})
        claim.carried_out()

    def _companions(self, job: Job, painting: Painting) -> dict[Path, bytes]:
        """Return the further files of a picture; raise an ImageError if one is not ours."""
        if self._alone:
            return {}
        known = self.ledger.last_done(key_of(job.output, self.path)) is not None
        companions = {
            job.output.with_suffix(suffix): data for suffix, data in painting.companions.items()
        }
        for path in companions:
            # If the picture is there and painted nevertheless, it is to be overwritten.
            if self._place.exists(path) and not (known or self._place.exists(job.output)):
                raise ImageError(
                    f"{printable(path)} is there already, and was not made by an earlier run. "
                    "Choose another output folder with --out, or other names with --name."
                )
        return companions

    def _remove_companions(self, output: Path, companions: Iterable[Path]) -> None:
        """Remove the further files of a picture that was not written; they come before it."""
        if not self._place.exists(output):
            for path in companions:
                self._place.remove(path)

    def note_failure(
        self, job: Job, outcome: Outcome, made_from: tuple[str | None, Hashed | None]
    ) -> None:
        """Write the ledger's line about a failed photo; raise an OSError if that fails."""
        self._place.check()
        self.ledger.append(self._line(job, outcome, made_from))

    def _line(
        self, job: Job, outcome: Outcome, made_from: tuple[str | None, Hashed | None]
    ) -> dict[str, Any]:
        fingerprint, photo = made_from
        return {
            "kind": "image",
            "run": self.run,
            "time": _now(),
            "fingerprint": fingerprint,
            **outcome.record(),
            "input": os.fspath(job.input),  # words for many images, where --json says null
            "output_in_folder": key_of(job.output, self.path),
            "input_sha256": photo and photo.sha256,
            "input_stamp": photo and photo.stamp,
        }

    def _recover(self, claim: KeptClaim) -> None:
        """Finish the picture of a process that was killed while it held this claim."""
        record = claim.intended
        line = None if record is None else PictureLine.parse(record)
        if record is not None and line is not None and line.output:
            output = self.path / line.output
            claim.sweep(output.parent)
            # Only those: an intent in a stranger's folder shall not say what else is removed.
            companions = [output.with_suffix(".json")] if record.pop(COMPANIONS, 0) else []
            if self._is_unknown(line) and is_as_made(output, line):
                log.info("finished by a run that was killed: %s", printable(output))
                self.ledger.append(record | {"output_stamp": stamp(output)})
            if companions:
                self._remove_companions(output, companions)
        claim.carried_out()

    def _is_unknown(self, line: PictureLine) -> bool:
        """Return True if the ledger lacks the line of a run."""
        self.ledger.refresh()
        last = self.ledger.last(line.output)
        return last is None or last.run != line.run


def _now() -> str:
    return datetime.fromtimestamp(int(time.time()), UTC).isoformat()


def _versions() -> dict[str, str]:
    own = {"nstbatch": nstbatch.__version__, "python": platform.python_version()}
    return own | installed_versions()


def _style(invocation: Invocation) -> str | None:
    """Return the names of the styles, in one text for people."""
    styles = invocation.settings.get("style")
    several = styles if isinstance(styles, list) else [styles]
    return ", ".join(map(str, several)) if styles else None
