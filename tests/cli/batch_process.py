"""Runs batches in forks of a process that has imported everything, so that kills are fast.

    python batch_process.py MODE ...

Not collected as a test; test_survival.py runs it.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
import time
from pathlib import Path

import numpy as np

from nstbatch.cli.jobs.invocation import Call, Invocation
from nstbatch.cli.jobs.painting import Painting
from nstbatch.cli.verbs.carry_out import Work, carry_out
from nstbatch.cli.verbs.prepare import BatchOptions, find_photos
from nstbatch.runtime.formats.picture_options import PictureOptions

WORDS = ("stylize", "photos", "--size", "512")


def options(out: str) -> BatchOptions:
    invocation = Invocation("stylize", {"size": 512}, Call(WORDS))
    pictures = PictureOptions(name="{stem}_x" if out == "photos" else None)
    return BatchOptions(*(Path(out), *6 * (False,)), invocation=invocation, pictures=pictures)


def paint(job, progress, stop) -> Painting:
    """Return noise that depends only on the photo; a picture of about 12 KB."""
    time.sleep(0.002)
    seed = int(job.input.stem)
    noise = np.random.default_rng(seed).random((64, 64, 3), dtype=np.float32)
    return Painting(noise, None, {"total": 1.0 / (1 + seed)}, 7, "cpu", "fp32", {".json": b"{}"})


def hang(job, progress, stop) -> Painting:
    """Never finish the fourth photo."""
    if job.input.stem == "003":
        Path("hanging").touch()
        time.sleep(600)
    return paint(job, progress, stop)


def batch(out: str, painter=paint, limit: int | None = None, log: str = os.devnull) -> int:
    """Start a batch, and return its process."""
    process = os.fork()
    if process:
        return process
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        plan = find_photos([Path("photos")], options(out))
        code = carry_out(Work(plan, painter, at_once=2), options(out))  # as the verbs do
        sys.stderr.flush()
    except BaseException as error:
        os.write(2, repr(error).encode())
        code = 99
    os._exit(code)


def ended(process: int) -> int:
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status)


def seen(out: Path) -> dict[str, tuple[int, int]]:
    """Return the facts that change if a picture is written again."""
    found = ((path, path.stat()) for path in out.glob("*.png"))
    return {path.name: (status.st_ino, status.st_mtime_ns) for path, status in found}


def kill_in_place(times: int) -> dict:
    """Kill a batch whose pictures lie beside the photos."""
    return kill(times, "photos")


def kill(times: int, out: str = "out") -> dict:
    """Kill a batch again and again, and then let it finish."""
    rng = random.Random(0)
    start = time.monotonic()
    assert ended(batch("whole")) == 0
    takes = time.monotonic() - start
    again, unfinished, before = [], 0, {}
    for _ in range(times):
        process = batch(out)
        time.sleep(rng.uniform(0, takes / times * 4))
        os.kill(process, signal.SIGKILL)
        unfinished += ended(process) == -signal.SIGKILL
        now = seen(Path(out))
        again += [name for name in before if now.get(name) != before[name]]
        before = now
    return {"killed": unfinished, "again": again, "code": ended(batch(out))}


def fill(times: int) -> list[dict]:
    """Run batches with a limit on the size of their files, and then without."""
    rng = random.Random(0)
    assert ended(batch("whole")) == 0
    found = []
    for number in range(times):
        out = f"out{number}"
        limit = 500 if number == 0 else rng.randrange(1, 16_000)  # 500: not even a run's line
        code = ended(batch(out, limit=limit, log=f"log{number}"))
        pictures = {path.name: path.read_bytes().hex() for path in Path(out).glob("*.png")}
        found.append({"limit": limit, "code": code, "pictures": pictures})
        found[-1] |= {"log": Path(f"log{number}").read_text(), "after": ended(batch(out))}
    return found


def pair() -> dict:
    """Run two batches at the same time."""
    processes = [batch("out", log="log0"), batch("out", log="log1")]
    return {"codes": [ended(process) for process in processes]}


def death() -> dict:
    """Let a batch wait for another one, which is killed."""
    first = batch("out", hang)
    while not Path("hanging").exists():
        time.sleep(0.01)
    second = batch("out", log="log")
    while len(seen(Path("out"))) < len(list(Path("photos").iterdir())) - 1:
        time.sleep(0.01)
    time.sleep(0.1)
    waits = os.waitpid(second, os.WNOHANG) == (0, 0)
    os.kill(first, signal.SIGKILL)
    ended(first)
    return {"waits": waits, "code": ended(second), "log": Path("log").read_text()}


if __name__ == "__main__":
    mode, *numbers = sys.argv[1:]
    print(json.dumps(globals()[mode](*map(int, numbers))))
