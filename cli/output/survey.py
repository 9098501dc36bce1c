"""The state of each picture before the first step: to be painted, done, or an obstacle."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from nstbatch.cli.jobs.plan import SHOWN_PROBLEMS, Job, Plan, Source
from nstbatch.cli.text import count, printable
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.storage.addresses import RemotePath, Stamp
from nstbatch.runtime.storage.store import store_of

from .fingerprint import Hashed, Origin, hash_file, stamp
from .ledger_lines import word_sha256

if TYPE_CHECKING:
    from .kept import KeptLedger
    from .ledger_lines import PictureLine


class Standing(StrEnum):
    """State of a picture, as a sentence for people."""

    TO_DO = "To be painted."
    DONE = "The picture is already there."
    UNKNOWN = "A file that is not in the ledger has this name; give --overwrite to replace it."
    CHANGED = "The picture was changed after it was painted; give --overwrite to paint it again."
    OUTDATED = "The picture was made with other settings, or from another photo."


@dataclass(frozen=True)
class Entry:
    """A job, and the state of its picture.

    Attributes:
        job: The job.
        key: The picture's path in the output folder, with ``/``.
        standing: The state.
        line: The ledger's last line about the picture.
        difference: The difference between an outdated picture and the job, in words.
    """

    job: Job
    key: str
    standing: Standing
    line: PictureLine | None = None
    difference: str = ""


def key_of(output: Path, out: Path) -> str:
    """Return a picture's name in the ledger, which stays valid if the folder is moved."""
    return output.relative_to(out).as_posix()


class Photos:
    """The SHA-256 of photos, computed when needed, and again only after a change."""

    def __init__(self) -> None:
        self._hashed: dict[Path, Hashed | None] = {}

    def hashed(self, job: Job, line: PictureLine | None = None) -> Hashed | None:
        """Return the hash of a job's source; None if it cannot be read.

        The hash comes from the ledger's line if the photo's stamp is still the same. For a picture
        of many images it is their digest, and for one without an image the hash of its word.
        """
        if job.photo is None:
            return Hashed(job.digest or word_sha256(job.input), None)
        is_copy = isinstance(job.input, RemotePath) and job.stored_in is not None
        path = job.input if is_copy else job.file
        if line and line.input_sha256 and _is(path, line.input_stamp):
            return Hashed(line.input_sha256, line.input_stamp)
        if is_copy and (copy := hash_file(job.file)) is not None:
            return Hashed(copy.sha256, stamp(job.input))
        return self._hash(path)

    def origin(self, job: Job, origin: Origin) -> Origin:
        """Return all that a job's picture is made from, also what it alone is made with."""
        if not job.sources:
            return origin
        hashed = {name: self._hash(path) for name, path in job.sources.items()}
        own = {name: found.sha256 if found else "" for name, found in hashed.items()}
        return replace(origin, files={**origin.files, **own})

    def fingerprint(self, job: Job, origin: Origin, photo: Hashed) -> str:
        """Return the fingerprint of a job's picture."""
        return self.origin(job, origin).fingerprint(photo.sha256, job.variation)

    def _hash(self, path: Path) -> Hashed | None:
        known = self._hashed.get(path)
        if known is None or not _is(path, known.stamp):
            known = self._hashed[path] = hash_file(path)
        return known


def survey(
    plan: Plan, out: Path, ledger: KeptLedger, origin: Origin, photos: Photos, *, overwrite: bool
) -> list[Entry]:
    """Return the jobs of a plan with the states of their pictures.

    Args:
        plan: The plan.
        out: The output folder.
        ledger: Its ledger.
        origin: Everything that the pictures are made from, except the photos.
        photos: Hashes the photos.
        overwrite: True to paint all pictures, also those that exist.

    Raises:
        UsageError: The store of the pictures cannot be read.
    """
    find = _finder(out)

    def entry(job: Job) -> Entry:
        key = key_of(job.output, out)
        line = ledger.last(key)
        output = find(job.output)
        if overwrite or output is None or ledger.is_under_way(key):
            return Entry(job, key, Standing.TO_DO, line)
        made = ledger.last_done(key)
        if made is None:
            return Entry(job, key, Standing.UNKNOWN, line)
        if not is_as_made(output, made):
            return Entry(job, key, Standing.CHANGED, line)
        photo = photos.hashed(job, made)
        if photo is None:  # the painter will report the reason
            return Entry(job, key, Standing.TO_DO, line)
        if photos.fingerprint(job, origin, photo) == made.fingerprint:
            return Entry(job, key, Standing.DONE, line)
        difference = _difference(job, photo, made, ledger, photos.origin(job, origin))
        return Entry(job, key, Standing.OUTDATED, line, difference)

    return [entry(job) for job in plan.jobs]


def _finder(out: Path) -> Callable[[Path], Path | None]:
    """Return what finds a picture's file, None if it is not there; a store is listed once."""
    if isinstance(out, RemotePath):
        try:
            there: dict[Path, Path] = {path: path for path in store_of(out).list(out, deep=True)}
        except OSError as error:
            raise UsageError(f"{printable(out)} cannot be read: {error.strerror}.") from error
        return lambda path: there.get(path)
    # os.path, because Path raises an OSError for a name that a file system finds too long.
    return lambda path: path if os.path.isfile(path) else None  # noqa: PTH113


def is_as_made(output: Path, line: PictureLine) -> bool:
    """Return True if a picture's bytes match its line in the ledger."""
    if _is(output, line.output_stamp):
        return True
    size = line.output_stamp[0] if line.output_stamp else None
    now = stamp(output)
    if now is None or (size is not None and now[0] != size):
        return False
    hashed = hash_file(output)  # a copy of the picture, or a folder moved to another disk
    return hashed is not None and hashed.sha256 == line.output_sha256


def _is(path: Path, known: Stamp | None) -> bool:
    return known is not None and stamp(path) == known


def _difference(
    job: Job, photo: Hashed, made: PictureLine, ledger: KeptLedger, origin: Origin
) -> str:
    if photo.sha256 != made.input_sha256 and job.source is not Source.IMAGES:
        return "from another photo of that name, or an earlier version of it"
    run = ledger.runs.get(made.run)
    changed = list(_changed_settings(run.settings, origin, job.sources)) if run else []
    if changed:
        return f"with another {', '.join(changed)}"
    if photo.sha256 != made.input_sha256:
        return "from other images, or with another network or layer"
    return "with other settings"


def _changed_settings(
    before: Mapping[str, object], origin: Origin, own: Collection[str]
) -> Iterator[str]:
    """Yield the options whose values differ from those of an earlier run.

    Those that each picture has values of its own for, ``own``, are left out.
    """
    if not before:  # a damaged line
        return
    for name, value in origin.in_the_picture.items():
        if before.get(name) != value:
            yield f"--{name.replace('_', '-')} ({_shown(before.get(name))}, now {_shown(value)})"
    for name in origin.files.keys() - own:
        if before.get(name) != origin.settings.get(name):
            now = origin.settings.get(name)
            yield f"--{name.replace('_', '-')} ({_shown(before.get(name))}, now {_shown(now)})"


def _shown(value: object) -> str:
    return "none" if value is None else printable(str(value))


def refuse_outdated(entries: Sequence[Entry]) -> None:
    """Raise a UsageError if the folder holds pictures that this command would make differently."""
    outdated = [entry for entry in entries if entry.standing is Standing.OUTDATED]
    if not outdated:
        return
    lines = [
        f"{printable(entry.job.output)}: made {entry.difference}"
        for entry in outdated[:SHOWN_PROBLEMS]
    ]
    if len(outdated) > SHOWN_PROBLEMS:
        lines.append(f"... and {len(outdated) - SHOWN_PROBLEMS} more")
    raise UsageError(
        f"Nothing was done: the output folder holds {count(len(outdated), 'picture')} made with"
        " other settings or from other photos:\n  "
        + "\n  ".join(lines)
        + "\nReplace all pictures with --overwrite, or choose another output folder with --out."
    )


def refuse_unknown(entries: Sequence[Entry]) -> None:
    """Raise a UsageError if a picture's file is there and is no picture of an earlier run.

    In a folder such a picture is skipped. Whoever names a single file expects it to be made.
    """
    for entry in entries:
        if entry.standing in (Standing.UNKNOWN, Standing.CHANGED):
            reason = {
                Standing.UNKNOWN: "is there already, and was not made by an earlier run",
                Standing.CHANGED: "was changed after it was painted",
            }[entry.standing]
            name = printable(entry.job.output)
            raise UsageError(f"Nothing was done: {name} {reason}. Replace it with --overwrite.")
