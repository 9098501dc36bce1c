"""A watch over a folder that 100 photos land in slowly: each painted once, none reported broken.

Runs only with ``-m replication``, and writes results/watch.json.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest
import slow_writer

RESULT = Path(__file__).parent / "results" / "watch.json"

PHOTOS = 100
LONGEST_PAUSE = 3.0  # seconds between two pieces; files settle after two

pytestmark = pytest.mark.replication


def test_a_hundred_photos_that_are_written_slowly(tmp_path: Path) -> None:
    with slow_writer.watching(tmp_path) as process:
        began = time.monotonic()
        slow_writer.land_all(
            tmp_path / "in", range(PHOTOS), longest_pause=LONGEST_PAUSE, together=10
        )
        written = time.monotonic() - began
        slow_writer.wait_for(tmp_path, PHOTOS, 300)
        painted = time.monotonic() - began
        time.sleep(5)  # a second attempt would come now
        code, printed, _ = slow_writer.end(process)
    attempts = slow_writer.attempts(tmp_path)
    with slow_writer.watching(tmp_path) as process:  # started again, it has nothing to do
        slow_writer.land(tmp_path / "in", 0, PHOTOS)
        slow_writer.wait_for(tmp_path, PHOTOS + 1, 60)
        slow_writer.end(process)
    result = {
        "photos": PHOTOS,
        "pieces of each": 5,
        "longest pause in seconds": LONGEST_PAUSE,
        "seconds until all are written": round(written, 1),
        "seconds until all are painted": round(painted, 1),
        "attempts by status": Counter(status for _, status in attempts),
        "most attempts at one picture": max(Counter(name for name, _ in attempts).values()),
        "attempts of a second start, with one new photo": (
            len(slow_writer.attempts(tmp_path)) - len(attempts)
        ),
        "exit code after Ctrl-C": code,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(result)
    assert result["attempts by status"] == {"done": PHOTOS}
    assert result["most attempts at one picture"] == 1
    assert result["attempts of a second start, with one new photo"] == 1
    assert code == 0
    assert len(printed.splitlines()) == PHOTOS
