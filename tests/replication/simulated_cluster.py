"""A cluster of a thousand workers in simulated time, over the product's output folder.

Not collected as a test; test_scale.py runs it. Nothing is painted. The folder, its ledger and its
claims are real: each batch claims, keeps and recovers as a batch of the command does. Workers,
machines and batches die at random, by a seed. A batch that is killed while it writes leaves
what the system would leave: half a file, half a line, no locks.
"""

from __future__ import annotations

import heapq
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from nstbatch.cli.jobs.invocation import Invocation
from nstbatch.cli.jobs.painting import Outcome, Painting, Status
from nstbatch.cli.jobs.plan import Job, Plan, Source
from nstbatch.cli.output import output_folder
from nstbatch.cli.output.claims import Claim
from nstbatch.cli.output.fingerprint import Origin
from nstbatch.cli.output.ledger import Ledger
from nstbatch.cli.output.output_folder import NetworkRecord, OutputFolder
from nstbatch.cli.output.survey import Entry, Photos, Standing, survey
from nstbatch.runtime.files import temporary_name

HOUR = 3600.0
# Seconds until a batch looks again for photos that other batches have claimed. The product's, 0.25,
# would make most of the simulation.
LOOKS_AGAIN = 5.0
PIXELS = np.zeros((1, 1, 0), np.float32)
CURVE = [[step, 1.0 / (1 + step)] for step in range(64)]


@dataclass(frozen=True)
class Cluster:
    """The cluster; times in seconds, of simulated time.

    Attributes:
        photos: Number of photos.
        workers: Number of workers, shared evenly by the batches.
        batches: Number of commands on one output folder.
        per_machine: Number of workers on a machine; they die together with it.
        painting: Median time for one picture; a fifth take half as much again, or more.
        start: Time until a new worker paints.
        worker_life: Mean time until a worker dies.
        machine_life: Mean time until a machine dies.
        batch_life: Mean time until a batch is killed.
        pause: Time until somebody repeats the command.
        tries: Times that a photo is tried if its worker dies.
        seed: Of everything random.
    """

    photos: int = 50_000
    workers: int = 1000
    batches: int = 1
    per_machine: int = 8
    painting: float = 60.0
    start: float = 60.0
    worker_life: float = 2 * HOUR
    machine_life: float = 6 * HOUR
    batch_life: float = 300.0
    pause: float = 120.0
    tries: int = 3
    seed: int = 0


class Killed(BaseException):
    """The batch is killed here."""


@dataclass(eq=False)
class Photo:
    """A photo in hand: its entry, its claim, and the workers that it has lost."""

    entry: Entry
    claim: Claim
    lost: int = 0


@dataclass(eq=False)
class Worker:
    """A worker, which has a new ``life`` each time it is started."""

    batch: Batch
    machine: int
    life: int = 0
    photo: Photo | None = None
    since: float = 0.0
    idle: bool = False


@dataclass(eq=False)
class Batch:
    """One command, with a ``life`` of its own each time it is repeated."""

    workers: list[Worker] = field(default_factory=list)
    folder: OutputFolder | None = None
    life: int = 0
    fuse: int | None = None
    """Number of writes until it is killed; None for no kill."""
    is_done: bool = False
    waiting: deque[Entry] = field(default_factory=deque)
    held: deque[Entry] = field(default_factory=deque)
    again: deque[Photo] = field(default_factory=deque)
    keeping: Photo | None = None
    """The photo whose picture is being written."""
    waits: bool = False
    """True if it will look again for photos that others have claimed."""


class Simulation:
    """Runs a cluster until every picture is there, or has failed."""

    def __init__(self, cluster: Cluster, out: Path) -> None:
        self.cluster, self.out = cluster, out
        self.random = random.Random(cluster.seed)
        self.counts: Counter[str] = Counter()
        self.lost_seconds = self.painted_seconds = self.now = 0.0
        self.spent: Counter[str] = Counter()
        jobs = (
            Job(
                Path(f"photo {number}"),
                out / f"{number // 1000:03}" / f"{number}.png",
                0,
                Source.NOTHING,
            )
            for number in range(cluster.photos)
        )
        self.plan = Plan(tuple(jobs))
        self.origin = Origin("stylize", {"size": 512})
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._acting = Batch()
        self._batches = [Batch() for _ in range(cluster.batches)]
        for number in range(cluster.workers):
            batch = self._batches[number % cluster.batches]
            batch.workers.append(Worker(batch, number // cluster.per_machine))

    def run(self) -> None:
        """Run it."""
        for batch in self._batches:
            self._at(0.0, partial(self._begin, batch))
        machines = -(-self.cluster.workers // self.cluster.per_machine)
        for machine in range(machines):
            self._machine_dies(machine, at_all=False)
        with self._guarded():
            while not all(batch.is_done for batch in self._batches):
                self.now, _, event = heapq.heappop(self._events)
                try:
                    event()
                except Killed:
                    self._kill(self._acting)

    def _at(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), event))

    def _after(self, mean: float, event: Callable[[], None]) -> None:
        self._at(self.random.expovariate(1 / mean), event)

    # --- Batches ------------------------------------------------------------------------------

    def _begin(self, batch: Batch) -> None:
        """Start a command, or repeat it: recover, survey, and let its workers start."""
        began = time.perf_counter()
        self._acting = batch
        self.counts["commands"] += 1
        batch.life += 1
        batch.folder = folder = OutputFolder(self.out).__enter__()
        entries = survey(self.plan, self.out, folder.ledger, self.origin, Photos(), overwrite=False)
        assert {entry.standing for entry in entries} <= {Standing.TO_DO, Standing.DONE}
        folder.begin(Invocation(), self.origin, NetworkRecord())
        batch.waiting = deque(each for each in entries if each.standing is Standing.TO_DO)
        batch.held, batch.again, batch.waits = deque(), deque(), False
        self.spent["begin"] += time.perf_counter() - began
        for worker in batch.workers:
            self._start(worker)
        self._after(self.cluster.batch_life, self._while_lives(batch, lambda: self._arm(batch)))

    def _while_lives(self, batch: Batch, event: Callable[[], None]) -> Callable[[], None]:
        life = batch.life
        return lambda: event() if batch.life == life and batch.folder else None

    def _arm(self, batch: Batch) -> None:
        """Let the batch be killed at one of its next writes."""
        batch.fuse = self.random.randrange(24)

    def _kill(self, batch: Batch) -> None:
        """Release the locks as the system would, and repeat the command later."""
        self.counts["batches killed"] += 1
        in_hand = [worker.photo for worker in batch.workers if worker.photo] + list(batch.again)
        for photo in [*in_hand, *([batch.keeping] if batch.keeping else [])]:
            photo.claim._lock.release()
        batch.fuse = batch.keeping = None
        for worker in batch.workers:
            self._lose(worker)
        batch.folder = None
        batch.life += 1
        self._at(self.cluster.pause, lambda: self._begin(batch))

    def _give(self, worker: Worker) -> None:
        """Give a worker the next photo that no other batch has claimed."""
        batch = worker.batch
        assert batch.folder is not None
        worker.idle = False
        self._acting = batch
        if batch.again:
            self._paint(worker, batch.again.popleft())
            return
        while batch.waiting:
            entry = batch.waiting.popleft()
            began = time.perf_counter()
            claim = batch.folder.claim(entry.job)
            self.spent["claim"] += time.perf_counter() - began
            self.counts["claims"] += 1
            if claim is None:
                batch.held.append(entry)
                continue
            line = batch.folder.ledger.last(entry.key)
            if line is not None and line is not entry.line:
                self.counts["painted by another batch"] += 1
                claim.__exit__(None, None, None)
                continue
            self._paint(worker, Photo(entry, claim))
            return
        worker.idle = True
        if any(each.photo for each in batch.workers):
            return
        if batch.held:  # claimed by another batch, which may have been killed since
            if not batch.waits:
                batch.waits = True
                self._at(LOOKS_AGAIN, self._while_lives(batch, lambda: self._look_again(batch)))
            return
        batch.folder.__exit__(None, None, None)
        batch.folder, batch.is_done = None, True

    def _look_again(self, batch: Batch) -> None:
        batch.waits = False
        batch.waiting, batch.held = batch.held, deque()
        self._wake(batch)

    def _wake(self, batch: Batch) -> None:
        for worker in batch.workers:
            if worker.idle and batch.folder:
                self._give(worker)

    # --- Workers ------------------------------------------------------------------------------

    def _start(self, worker: Worker) -> None:
        worker.life += 1
        life = worker.life

        def lives() -> bool:
            return worker.life == life and worker.batch.folder is not None

        self._at(self.cluster.start, lambda: self._give(worker) if lives() else None)
        self._after(self.cluster.worker_life, lambda: self._dies(worker) if lives() else None)

    def _paint(self, worker: Worker, photo: Photo) -> None:
        worker.photo, worker.since, life = photo, self.now, worker.life
        seconds = self.cluster.painting * self.random.lognormvariate(0.0, 0.5)
        self._at(seconds, lambda: self._finish(worker) if worker.life == life else None)

    def _finish(self, worker: Worker) -> None:
        """Keep a picture, as the batch does."""
        photo, batch = worker.photo, worker.batch
        assert photo is not None
        assert batch.folder is not None
        worker.photo, batch.keeping, self._acting = None, photo, batch
        self.painted_seconds += self.now - worker.since
        job = photo.entry.job
        hashed = Photos().hashed(job)
        assert hashed is not None
        fingerprint = Photos().fingerprint(job, self.origin, hashed)
        painting = Painting(PIXELS, None, {"total": 1.0}, 7, "cpu", "fp32", encoded=picture(job))
        outcome = Outcome.of(job, Status.DONE, seconds=60.0, steps=7, losses={"total": 1.0})
        began = time.perf_counter()
        batch.folder.keep(photo.claim, job, painting, outcome, (fingerprint, hashed), CURVE)
        photo.claim.__exit__(None, None, None)
        batch.keeping = None
        self.spent["keep"] += time.perf_counter() - began
        self.counts["kept"] += 1
        self._give(worker)

    def _lose(self, worker: Worker) -> Photo | None:
        """Take what a worker had in hand: its life is over."""
        worker.life += 1
        photo, worker.photo, worker.idle = worker.photo, None, False
        if photo is not None:
            self.counts["paintings lost"] += 1
            self.lost_seconds += self.now - worker.since
        return photo

    def _dies(self, worker: Worker) -> None:
        batch = worker.batch
        self.counts["workers died"] += 1
        photo = self._lose(worker)
        if photo is not None:
            photo.lost += 1
            if photo.lost < self.cluster.tries:
                batch.again.append(photo)
            else:
                self._fail(batch, photo)
        self._start(worker)
        self._wake(batch)

    def _fail(self, batch: Batch, photo: Photo) -> None:
        assert batch.folder is not None
        self._acting, batch.keeping = batch, photo
        self.counts["photos failed"] += 1
        outcome = Outcome.of(photo.entry.job, Status.FAILED, "Its workers died.")
        batch.folder.note_failure(photo.entry.job, outcome, (None, None))
        photo.claim.__exit__(None, None, None)
        batch.keeping = None

    def _machine_dies(self, machine: int, *, at_all: bool = True) -> None:
        if at_all:
            self.counts["machines died"] += 1
            for batch in self._batches:
                for worker in batch.workers:
                    if worker.machine == machine and batch.folder:
                        self._dies(worker)
        self._after(self.cluster.machine_life, lambda: self._machine_dies(machine))

    # --- Kills in the middle of a write ----------------------------------------------------------

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Let the fuse burn down by one at each write, and end the batch there, half done."""

        def torn_file(path: Path, data: bytes, token: str, **more: Any) -> None:
            path.with_name(temporary_name(token)).write_bytes(data[: len(data) // 2])

        def torn_line(ledger: Ledger, record: Any) -> None:
            with ledger.path.open("ab") as file:
                file.write(b'{"kind": "image", "inp')

        def torn_intent(claim: Claim, record: Any) -> None:
            claim._intent.write_text('{"kind": "im')

        places = [
            (output_folder, "write_atomically", torn_file),
            (Ledger, "append", torn_line),
            (Claim, "intend", torn_intent),
            (Claim, "carried_out", lambda claim: None),
        ]
        before = [getattr(owner, name) for owner, name, _ in places]
        for (owner, name, torn), real in zip(places, before, strict=True):
            setattr(owner, name, self._fused(real, torn))
        try:
            yield
        finally:
            for (owner, name, _), real in zip(places, before, strict=True):
                setattr(owner, name, real)

    def _fused(self, real: Callable[..., Any], torn: Callable[..., Any]) -> Callable[..., Any]:
        def write(*given: Any, **more: Any) -> Any:
            batch = self._acting
            if batch.fuse is not None:
                batch.fuse -= 1
                if batch.fuse < 0:
                    self.random.choice([torn, real])(*given, **more)
                    raise Killed
            return real(*given, **more)

        return write


def picture(job: Job) -> bytes:
    """The bytes of the picture of a job."""
    return str(job.input).encode() * 50
