"""A job with its photo at hand: one in a store is copied into a file while it is painted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from nstbatch.cli.jobs.plan import Job
from nstbatch.runtime.storage.addresses import RemotePath
from nstbatch.runtime.storage.local_copies import local_copy


@contextmanager
def fetched(job: Job) -> Iterator[Job]:
    """Yield the job with the file of its photo, for as long as it is needed.

    Raises:
        OSError: The photo cannot be fetched.
    """
    if not isinstance(job.photo, RemotePath):
        yield job
        return
    with local_copy(job.photo) as file:
        yield replace(job, stored_in=file)
