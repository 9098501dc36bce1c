"""Runs several jobs at a time, each in its own thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nstbatch.cli.jobs.painting import Outcome
    from nstbatch.cli.output.survey import Entry

# Seconds between two looks at signals and at the claims of other processes.
PATIENCE = 0.25


def side_by_side(
    work: Callable[[Entry], Outcome | None],
    entries: Iterable[Entry],
    at_once: int,
    halt: threading.Event,
) -> Iterator[Outcome]:
    """Yield the outcomes of jobs, each as soon as it is known.

    Args:
        work: Does one job. Returns None if another process has claimed it, and is called again
            later; raises KeyboardInterrupt if it was stopped.
        entries: The jobs.
        at_once: Largest number of jobs at a time.
        halt: When it is set, no more jobs are started, and those under way should stop. This
            function sets it when a job raises an error.

    Raises:
        KeyboardInterrupt: A job was stopped before ``halt`` was set.
        Exception: The first error of a job, raised when all threads have ended. A
            KeyboardInterrupt after a halt is expected and is not raised.
    """
    waiting = deque(entries)
    held: list[Entry] = []
    under_way: dict[Future[Outcome | None], Entry] = {}
    error: BaseException | None = None
    with ThreadPoolExecutor(at_once, thread_name_prefix="photo") as pool:
        try:
            while True:
                while waiting and len(under_way) < at_once and not halt.is_set():
                    entry = waiting.popleft()
                    under_way[pool.submit(work, entry)] = entry
                if not under_way and (halt.is_set() or not held):
                    break
                done = _first_done(under_way)
                for future in done:
                    entry = under_way.pop(future)
                    try:
                        outcome = future.result()
                    except BaseException as raised:
                        if not halt.is_set():
                            error = raised
                            halt.set()
                        elif not isinstance(raised, KeyboardInterrupt):
                            error = error or raised
                        continue
                    if outcome is None:
                        held.append(entry)
                    else:
                        yield outcome
                if not done:  # other processes may have released their claims by now
                    waiting.extend(held)
                    held.clear()
        finally:
            halt.set()
    if error is not None:
        raise error


def _first_done(
    under_way: dict[Future[Outcome | None], Entry],
) -> Collection[Future[Outcome | None]]:
    """Return the futures that are done, after at most :data:`PATIENCE`.

    Python handles signals in the main thread only. If the system delivers a signal to another
    thread, a wait without a limit would not notice it.
    """
    if not under_way:
        time.sleep(PATIENCE)
    return wait(under_way, PATIENCE, FIRST_COMPLETED).done
