"""The service under 200 clients at once: right answers, bounded memory, and no job lost.

Runs only with ``-m replication``, and writes results/service.json.
"""

from __future__ import annotations

import json
import os
import statistics
import threading
import time
from collections import Counter
from http.client import HTTPException
from pathlib import Path

import many_uploads
import pytest

RESULT = Path(__file__).parent / "results" / "service.json"

KINDS = (
    *["photo"] * 110,
    *["photo with its style"] * 20,
    *["too large", "no picture", "torn picture", "torn form", "cut off"] * 14,
)
LARGEST = 4_000_000
SIDE = 1200  # a photo of noise then has 1.2 MB

# Growth of the resident memory that counts as bounded. An upload that is decoded takes 17 MB as
# floats, and four may be at a time; the uploads in memory would be 300 MB.
BOUND = 150 << 20

# Seconds for the usual answer to a small question meanwhile: the event loop is not kept. The 200
# clients share the two cores of a small machine with the service and with whoever asks.
USUAL = 1.0

pytestmark = pytest.mark.replication


class Observer(threading.Thread):
    """Looks at the resident memory of a service, and how fast it answers, until it ends."""

    def __init__(self, process: int, port: int) -> None:
        super().__init__(daemon=True)
        self._file, self._port = Path(f"/proc/{process}/statm"), port
        self.peak = 0
        self.answers: list[float] = []
        """Seconds that each answer took."""

    @property
    def now(self) -> int:
        return int(self._file.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def run(self) -> None:
        while True:
            try:
                self.peak = max(self.peak, self.now)
                began = time.monotonic()
                many_uploads.get(self._port, "/health")
                self.answers.append(time.monotonic() - began)
            except (OSError, IndexError, HTTPException):
                return
            time.sleep(0.05)


def test_two_hundred_clients_at_once(tmp_path: Path) -> None:
    styles = tmp_path / "styles"
    styles.mkdir()
    (styles / f"{many_uploads.STYLE}.jpg").write_bytes(many_uploads.jpeg(99))
    words = ("--styles", str(styles), "--max-upload", "4MB", "--queue", "20", "--batch", "2")
    with many_uploads.service(tmp_path, *words) as (process, port):
        observer = Observer(process.pid, port)
        observer.start()
        first = many_uploads.send_all(port, ["photo"] * 2, largest=LARGEST, side=SIDE)
        many_uploads.wait_for_ends(port, [str(each.job) for each in first], 120)
        warm, began = observer.now, time.monotonic()
        observer.peak = warm
        observer.answers.clear()
        answers = many_uploads.send_all(port, KINDS, largest=LARGEST, side=SIDE, patience=900)
        answered = time.monotonic() - began
        jobs = [each.job for each in answers if each.job is not None]
        views = many_uploads.wait_for_ends(port, jobs, 600)
        ended = time.monotonic() - began
        health = many_uploads.get(port, "/health")
        peak, waited = observer.peak, sorted(observer.answers)
    statuses = Counter((each.kind, str(each.status)) for each in answers)
    left_over = list((tmp_path / "jobs" / ".incoming").iterdir())
    result = {
        "uploads": len(KINDS),
        "answers": {
            f"{kind}: {status}": n for (kind, status), n in sorted(statuses.items(), key=str)
        },
        "refused for a full queue": sum(each.refused for each in answers),
        "jobs": Counter(view["state"] for view in views.values()),
        "seconds until all are answered": round(answered, 1),
        "seconds until all are painted": round(ended, 1),
        "resident MB before": warm >> 20,
        "resident MB at most": peak >> 20,
        "uploaded MB": sum(
            len(many_uploads.body(kind, seed, LARGEST, SIDE)) for seed, kind in enumerate(KINDS)
        )
        >> 20,
        "answers to /health meanwhile": len(waited),
        "median of their seconds": round(statistics.median(waited), 3),
        "longest of their seconds": round(waited[-1], 3),
        "left over": len(left_over),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(result)
    assert [each for each in answers if each.status != many_uploads.EXPECTED[each.kind]] == []
    assert result["jobs"] == {"done": 130}
    assert health["jobs"] == {"waiting": 0, "running": 0, "done": 132, "failed": 0}
    assert left_over == []
    assert peak - warm < BOUND
    assert statistics.median(waited) < USUAL
