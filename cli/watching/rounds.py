"""The rounds of a folder that is watched: what has arrived since the last one is a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nstbatch.cli.output.survey import Entry, Standing, refuse_outdated, survey

from .arrivals import Arrivals, is_whole

if TYPE_CHECKING:
    from nstbatch.cli.batch.batch import Batch
    from nstbatch.cli.jobs.plan import Plan


class Rounds:
    """Finds the photos that have arrived, and are new or have changed."""

    def __init__(
        self,
        batch: Batch,
        find: Callable[[], Plan],
        arrivals: Arrivals | None = None,
        *,
        overwrite: bool = False,
    ) -> None:
        """Look for nothing yet.

        Args:
            batch: All but the photos of a round.
            find: Makes the plan of everything that is there.
            arrivals: Tells which photos are complete; by default those that can be decoded.
            overwrite: True to paint what is there once more.
        """
        self._batch, self._find, self._overwrite = batch, find, overwrite
        self._arrivals = arrivals or Arrivals(is_whole)
        self._told: set[Path] = set()
        self._is_first = True

    @property
    def are_due(self) -> bool:
        """True if a photo is being waited for, so that a round may find it complete."""
        return self._arrivals.is_waiting

    def next(self) -> Batch:
        """Return the batch of the photos that have arrived, and of those that need no painting.

        A picture is painted again if its photo has changed.

        Raises:
            UsageError: Two photos would become one picture; or, in the first round, pictures are
                there that were made with other settings.
        """
        plan = self._find()
        new = tuple(job for job in plan.jobs if self._arrivals.is_new(job.file))
        entries = [self._renewed(entry) for entry in self._surveyed(replace(plan, jobs=new))]
        if self._is_first:
            refuse_outdated(entries)
            self._is_first = False
        to_do = {each.job.file for each in entries if each.standing is Standing.TO_DO}
        waiting = to_do - self._arrivals.ready(to_do)
        chosen = [each for each in entries if each.job.file not in waiting]
        for path in {each.job.file for each in chosen}:
            self._arrivals.deal_with(path)
        unreadable = [each for each in plan.unreadable if each.path not in self._told]
        self._told.update(each.path for each in unreadable)
        return replace(self._batch, entries=chosen, unreadable=unreadable)

    def _surveyed(self, plan: Plan) -> list[Entry]:
        batch = self._batch
        folder = batch.folder
        folder.ledger.refresh()  # it has the lines of the last round
        return survey(
            plan,
            folder.path,
            folder.ledger,
            batch.origin,
            batch.photos,
            overwrite=self._overwrite,
        )

    def _renewed(self, entry: Entry) -> Entry:
        """Return the entry to be painted if its picture was made from another version."""
        if entry.standing is not Standing.OUTDATED or entry.line is None:
            return entry
        photo = self._batch.photos.hashed(entry.job)
        is_same = photo is None or photo.sha256 == entry.line.input_sha256
        return entry if is_same else replace(entry, standing=Standing.TO_DO)
