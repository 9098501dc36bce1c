import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from nstbatch.cli.batch.interrupt import Interrupt

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_a_request_and_the_second_an_order(number, capfd):
    told = threading.Event()
    with Interrupt(terminate=told.set) as interrupt:
        assert not interrupt()
        signal.raise_signal(number)
        assert interrupt()
        assert told.wait(10)  # after the message
        assert "a second Ctrl-C stops at once" in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_the_handlers_before_it_come_back():
    before = [signal.getsignal(number) for number in SIGNALS]
    with Interrupt():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            os.kill(os.getpid(), signal.SIGINT)
            assert not interrupt()
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_leave_signals_alone():
    found = []

    def work():
        with Interrupt() as interrupt:
            found.append((signal.getsignal(signal.SIGINT), interrupt()))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(before, False)]


# ---- a main thread in the middle of a call -----------------------------------------------------


def test_terminate_is_called_at_once():
    told = threading.Event()
    with Interrupt(terminate=told.set):
        signal.raise_signal(signal.SIGTERM)
        assert told.wait(10)


def test_terminate_is_not_called_for_other_signals_or_after_the_end():
    told = threading.Event()
    before = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    try:
        with Interrupt(terminate=told.set):
            signal.raise_signal(signal.SIGUSR1)
        assert not told.is_set()
        assert "signals" not in {thread.name for thread in threading.enumerate()}
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert signal.set_wakeup_fd(-1) == -1


LONG_CALL = """
import os, sys
import numpy as np
from nstbatch.cli.batch.interrupt import Interrupt
with Interrupt(last_words=lambda: os.write(2, b"last words")):
    values = np.random.default_rng(0).random((6000, 6000))
    print("ready", flush=True)
    np.linalg.svd(values)  # minutes in one call, in which Python runs no handler
"""


@pytest.mark.parametrize("signals", [1, 2])
def test_a_call_that_nothing_can_end_is_not_waited_for(signals):
    command = [sys.executable, "-c", LONG_CALL]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout.readline().strip() == b"ready"
        time.sleep(0.3)
        for _ in range(signals):
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        try:
            assert process.wait(20) == 130
        finally:
            process.kill()
        assert b"last words" in process.stderr.read()


def test_a_call_is_ended_though_nobody_reads_the_message(monkeypatch):
    def write(*_):
        raise BrokenPipeError

    monkeypatch.setattr(os, "write", write)
    told = threading.Event()
    with Interrupt(terminate=told.set):
        signal.raise_signal(signal.SIGINT)
        assert told.wait(10)
