"""The program of a worker process, which paints for a batch: ``python -m`` with this module's name.

It runs the command line of the batch, up to where the first photo would be painted; see
:mod:`nstbatch.cli.workers.service`. Its requests come from standard input.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nstbatch.cli.workers.messages import Start

STDIN, STDOUT, STDERR = 0, 1, 2

IGNORED = (signal.SIGINT, signal.SIGTERM)
"""The batch decides what they mean; its workers get them too, from a terminal or a service."""


def main() -> int:
    """Serve a batch, and return the exit code."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, IGNORED)  # the batch has blocked them
    # Libraries may write to standard output, which must hold nothing but messages.
    answers = os.fdopen(os.dup(STDOUT), "wb")
    os.dup2(STDERR, STDOUT)
    requests = os.fdopen(os.dup(STDIN), "rb")
    with open(os.devnull, "rb") as null:  # noqa: PTH123
        os.dup2(null.fileno(), STDIN)

    # Not at the top: signals must be dealt with first, and the cores chosen before numpy comes.
    from nstbatch.cli.workers.messages import Sender, Start, received

    send = Sender(answers)
    start = next(received(requests), None)
    if not isinstance(start, Start):  # the batch has ended
        return 1
    if start.cores:
        with suppress(OSError):  # a core may have been taken away since
            os.sched_setaffinity(0, start.cores)
    return serve(start, received(requests), send)


def serve(start: Start, requests: Iterable[Any], send: Callable[[Any], None]) -> int:
    """Run the words of a batch and paint for it, and return the exit code.

    Args:
        start: The first message of the batch.
        requests: Its further messages, until it ends.
        send: Sends to the batch; an OSError or a ValueError if it has ended.
    """
    from nstbatch.cli.jobs.invocation import Call
    from nstbatch.cli.workers.service import Relay, Service

    from .main import run

    sys.stderr = Relay(send)
    return run(start.words, Call(start.words, service=Service(start, requests, send)))


if __name__ == "__main__":
    sys.exit(main())
