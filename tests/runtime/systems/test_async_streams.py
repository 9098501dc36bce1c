"""The same streams for asyncio, beside an event loop that goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.systems.async_streams import run_async, stream_async
from nstbatch.runtime.systems.streams import AHEAD, Stop

WAIT = 20

T = TypeVar("T")


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert not [each for each in threading.enumerate() if "nstbatch-stream" in each.name]


def run_in_thread(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run it in a thread of its own: this one may have an event loop, of a browser."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def doubled(item: int, stop: Stop) -> int:
    return 2 * item


def until_stopped(stop: Stop) -> str:
    while not stop():
        threading.Event().wait(0.01)
    return "stopped"


def test_the_event_loop_goes_on_while_a_thread_computes() -> None:
    ticked = threading.Event()

    async def main() -> str:
        async def tick() -> None:
            ticked.set()

        ticking = asyncio.create_task(tick())
        result = await run_async(lambda stop: "ticked" if ticked.wait(WAIT) else "blocked")
        await ticking
        return result

    assert run_in_thread(main()) == "ticked"


def test_the_error_of_a_run_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        run_in_thread(run_async(lambda stop: 1 / 0))


def test_a_cancelled_task_ends_when_its_run_has_ended() -> None:
    ended = []

    async def main() -> None:
        task = asyncio.create_task(run_async(lambda stop: ended.append(until_stopped(stop))))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_in_thread(main())
    assert ended == ["stopped"]


@pytest.mark.parametrize("in_order", [True, False])
def test_an_ordinary_source_and_an_async_one(in_order: bool) -> None:
    async def counted() -> AsyncIterator[int]:
        for number in range(7):
            yield number

    async def main() -> list[list[int]]:
        return [
            [
                made.get()
                async for made in stream_async(doubled, source, at_once=2, in_order=in_order)
            ]
            for source in (counted(), range(7))
        ]

    for got in run_in_thread(main()):
        assert (got if in_order else sorted(got)) == list(range(0, 14, 2))


def test_an_error_of_the_source_and_one_of_an_item() -> None:
    def source() -> Iterator[int]:
        yield 0
        yield 1
        raise OSError("the camera is gone")

    async def main() -> list[str]:
        made = stream_async(lambda item, stop: 1 / item, source())
        got = [await anext(made) for _ in range(2)]
        with pytest.raises(OSError, match="camera"):
            await anext(made)
        return [str(each.error or each.result) for each in got]

    assert run_in_thread(main()) == ["division by zero", "1.0"]


def test_a_consumer_that_leaves_stops_the_runs_and_reads_no_more() -> None:
    taken, stopped = [], []

    def source() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    def make(item: int, stop: Stop) -> None:
        if item:
            stopped.append(until_stopped(stop))

    async def main() -> None:
        made = stream_async(make, source(), at_once=2)
        assert (await anext(made)).index == 0
        await made.aclose()

    run_in_thread(main())
    assert len(taken) <= AHEAD * 2 + 1
    assert len(stopped) <= 2


def test_the_number_of_threads_is_checked() -> None:
    with pytest.raises(UsageError, match="at_once must be"):
        stream_async(doubled, [1], at_once=0)
