"""Streams and single runs for asyncio: threads compute, and the event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from nstbatch.runtime.checks import whole

from .streams import AHEAD, Item, Made, Product, Stop, attempt

T = TypeVar("T")


async def run_async(make: Callable[[Stop], T]) -> T:
    """Run one call in a thread of its own, and return its result or raise its error.

    A task that is cancelled meanwhile stops the run before its next step, and ends when the run has
    ended::

        result = await run_async(lambda stop: transfer(photo, "monet.jpg", stop=stop))

    Args:
        make: The call; it is given what tells it to stop.
    """
    async for made in stream_async(lambda call, stop: call(stop), [make]):
        return made.get()
    raise AssertionError("a stream of one item has one result")


def stream_async(
    make: Callable[[Item, Stop], Product],
    items: Iterable[Item] | AsyncIterable[Item],
    *,
    at_once: int = 1,
    in_order: bool = True,
) -> AsyncGenerator[Made[Item, Product]]:
    """Make something of every item, in threads; see :func:`.streams.stream`.

    Args:
        make: Makes the product of an item, in a thread.
        items: The source; an ordinary one is read in a thread too.
        at_once: Number of items to work on at a time.
        in_order: True for the order of the source.

    Raises:
        UsageError: ``at_once`` is no whole number above 0.
    """
    whole("at_once", at_once, 1)
    return _stream(make, items, at_once, in_order)


async def _stream(
    make: Callable[[Item, Stop], Product],
    items: Iterable[Item] | AsyncIterable[Item],
    at_once: int,
    in_order: bool,
) -> AsyncGenerator[Made[Item, Product]]:
    source = items if isinstance(items, AsyncIterable) else _read_in_threads(items)
    numbered, halt, index = aiter(source), threading.Event(), 0
    held: list[asyncio.Future[Made[Item, Product]]] = []
    broken: Exception | None = None
    exhausted = False
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="nstbatch-stream")
    try:
        while True:
            while not exhausted and len(held) < AHEAD * at_once:
                try:
                    item = await anext(numbered)
                except StopAsyncIteration:
                    exhausted = True
                except Exception as error:
                    exhausted, broken = True, error
                else:
                    begun = pool.submit(attempt, make, halt.is_set, index, item)
                    held.append(asyncio.wrap_future(begun))
                    index += 1
                    del item, begun
            if not held:
                break
            ready = held[0] if in_order else await _first_ready(held)
            made = await ready
            held.remove(ready)
            yield made
            del ready, made
    finally:
        halt.set()
        for future in held:
            future.cancel()
        await asyncio.to_thread(pool.shutdown, cancel_futures=True)
    if broken is not None:
        raise broken


async def _first_ready(
    held: list[asyncio.Future[Made[Item, Product]]],
) -> asyncio.Future[Made[Item, Product]]:
    done, _ = await asyncio.wait(held, return_when=asyncio.FIRST_COMPLETED)
    return next(future for future in held if future in done)


async def _read_in_threads(items: Iterable[Item]) -> AsyncIterator[Item]:
    source, end = iter(items), object()
    while True:
        item = await asyncio.to_thread(next, source, end)
        if item is end:
            return
        yield item  # type: ignore[misc]
