"""Works at several photos at once, each in a thread of its own."""

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

# Seconds before signals, and the claims of other processes, are looked at again.
PATIENCE = 0.25


def side_by_side(
    work: Callable[[Entry], Outcome | None],
    entries: Iterable[Entry],
    at_once: int,
    halt: threading.Event,
) -> Iterator[Outcome]:
    """Yield what becomes of photos, each as soon as it is known.

    Args:
        work: Does all there is to do for a photo. Returns None where another process is at it,
            and is asked again later; raises KeyboardInterrupt where it was given up.
        entries: The photos.
        at_once: How many may be under way.
        halt: When it is set, no more are begun, and those under way should be given up. It is set
            here where one of them raises what is no photo's own.

    Raises:
        KeyboardInterrupt: One was given up, though nobody had asked for it here.
        Exception: What the work raised first, when all have come back; after a halt a
            KeyboardInterrupt is what was asked for.
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
                if not done:  # other processes may have ended by now, and left theirs to this one
                    waiting.extend(held)
                    held.clear()
        finally:
            halt.set()
    if error is not None:
        raise error


def _first_done(
    under_way: dict[Future[Outcome | None], Entry],
) -> Collection[Future[Outcome | None]]:
    """Those that have come back, after no more than :data:`PATIENCE`.

    Python handles a signal in the main thread alone, which does not hear of it in a wait without
    an end where the system has told another thread.
    """
    if not under_way:
        time.sleep(PATIENCE)
    return wait(under_way, PATIENCE, FIRST_COMPLETED).done
