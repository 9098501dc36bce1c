"""The figures of docs/scale.md that need no painting: a simulated cluster, and large ledgers.

The facts of the last run are in results/scale.json. test_ray.py measures what Ray adds.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from simulated_cluster import CURVE, PIXELS, Cluster, Simulation, picture

from nstbatch.cli.jobs.painting import Outcome, Painting, Status
from nstbatch.cli.jobs.plan import Job, make_plan
from nstbatch.cli.jobs.search import Search
from nstbatch.cli.output.fingerprint import Origin
from nstbatch.cli.output.ledger import NAME, Ledger
from nstbatch.cli.output.output_folder import OutputFolder
from nstbatch.cli.output.survey import Photos, Standing, survey

pytestmark = pytest.mark.replication

RESULTS = Path(__file__).parent / "results" / "scale.json"
SIZES = (1_000, 10_000)
CLUSTERS = {
    "one batch": Cluster(photos=10_000),
    "four batches on one folder": Cluster(photos=3_000, batches=4),
    "two tries, short lives": Cluster(photos=5_000, tries=2, worker_life=600.0),
    "three tries, short lives": Cluster(photos=5_000, worker_life=600.0),
}
FILES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.utime", "os.truncate")
"""What Python's audit hooks count; fsync and stat are not among them."""


def keep(section: str, facts: Any) -> None:
    """Replace a section of the results."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    known[section] = facts
    RESULTS.write_text(json.dumps(known, indent=1) + "\n")


@pytest.mark.parametrize("name", CLUSTERS)
def test_a_thousand_workers(name: str, tmp_path: Path) -> None:
    cluster = CLUSTERS[name]
    simulation = Simulation(cluster, tmp_path / "out")
    began = time.perf_counter()
    with counted() as operations:
        simulation.run()
    seconds = time.perf_counter() - began
    counts = simulation.counts
    lines = list(picture_lines(tmp_path / "out" / NAME))
    made = Counter(line["output_in_folder"] for line in lines if line["status"] == "done")
    files = {path: path for path in (tmp_path / "out").rglob("*.png")}
    missing = [job for job in simulation.plan.jobs if job.output not in files]
    for job in simulation.plan.jobs:
        if job.output in files:
            assert job.output.read_bytes() == picture(job)
    assert len(made) == len(files) == cluster.photos - len(missing)
    assert set(made.values()) == {1}
    assert not list((tmp_path / "out").rglob(".nstbatch*"))
    assert len(missing) <= counts["photos failed"]
    painted = simulation.painted_seconds
    facts = {
        "cluster": asdict(cluster),
        "events": dict(sorted(counts.items())),
        "pictures": len(files),
        "pictures_made_twice": sum(times > 1 for times in made.values()),
        "pictures_missing": len(missing),
        "simulated_seconds": round(simulation.now),
        "simulated_seconds_without_failures": round(painted / cluster.workers),
        "share_of_painting_lost": round(simulation.lost_seconds / painted, 4),
        "real_ms": {
            "for a claim": round(1e3 * simulation.spent["claim"] / counts["claims"], 2),
            "to write picture and line": round(1e3 * simulation.spent["keep"] / counts["kept"], 2),
            "to begin": round(1e3 * simulation.spent["begin"] / counts["commands"]),
        },
        "real_seconds": round(seconds),
        "operations_for_a_picture": {
            each: round(number / cluster.photos, 2) for each, number in operations.items()
        },
    }
    keep(name, facts)


class counted:  # noqa: N801
    """Counts operations on files inside a ``with`` block; an audit hook cannot be removed."""

    now: Counter[str] | None = None
    is_there = False

    def __enter__(self) -> Counter[str]:
        if not counted.is_there:
            sys.addaudithook(self._hook)
            counted.is_there = True
        counted.now = Counter()
        return counted.now

    def __exit__(self, *error: object) -> None:
        counted.now = None

    @staticmethod
    def _hook(event: str, given: tuple[Any, ...]) -> None:
        if counted.now is not None and event in FILES:
            counted.now[event] += 1


def picture_lines(ledger: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines about pictures; torn ones are left out."""
    for text in ledger.read_text().splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if line["kind"] == "image":
            yield line


@pytest.mark.parametrize("photos", SIZES)
def test_the_beginning_of_a_batch_that_is_done(photos: int, tmp_path: Path) -> None:
    """The ledger, the plan and the survey, for pictures that are all there."""
    inputs, out = tmp_path / "photos", tmp_path / "out"
    inputs.mkdir()
    for number in range(photos):
        (inputs / f"{number:06}.png").touch()
    plan = make_plan(Search([inputs]), out)
    origin = Origin("stylize", {"size": 512})
    pictures_of(plan.jobs, out, origin)
    before = memory()
    ledger, facts = timed(lambda: Ledger(out)), {"photos": photos}
    facts["ledger_seconds"] = ledger[1]
    facts["ledger_bytes_of_memory_for_a_picture"] = round((memory() - before) / photos)
    facts["ledger_bytes_for_a_picture"] = round((out / NAME).stat().st_size / photos)
    plan, facts["plan_seconds"] = timed(lambda: make_plan(Search([inputs]), out))
    entries, facts["survey_seconds"] = timed(
        lambda: survey(plan, out, ledger[0], origin, Photos(), overwrite=False)
    )
    assert {entry.standing for entry in entries} == {Standing.DONE}
    facts["plan_pickled_bytes_for_a_photo"] = round(len(pickle.dumps(plan)) / photos)
    keep(f"{photos} photos that are done", facts)


def pictures_of(jobs: tuple[Job, ...], out: Path, origin: Origin) -> None:
    """Write the pictures, and a ledger as a batch writes it, but all lines at once."""
    lines: list[str] = []
    with OutputFolder(out) as folder:
        folder.ledger.append = lambda record: lines.append(json.dumps(record))  # type: ignore
        photos = Photos()
        for job in jobs:
            hashed = photos.hashed(job)
            assert hashed is not None
            made_from = (photos.fingerprint(job, origin, hashed), hashed)
            losses = {f"style/relu{block}_1": 0.123456789012 / block for block in range(1, 6)}
            facts = {"seconds": 60.0, "steps": 64, "losses": losses}
            outcome = Outcome.of(job, Status.DONE, provider="cpu", precision="fp32", **facts)
            image = Painting(PIXELS, None, losses, 64, "cpu", "fp32", encoded=b"picture")
            with folder.claims.take(str(job.output.relative_to(out))) as claim:  # type: ignore
                folder.keep(claim, job, image, outcome, made_from, CURVE)
    (out / NAME).write_text("".join(f"{line}\n" for line in lines))


def timed(work: Any) -> tuple[Any, float]:
    began = time.process_time()
    found = work()
    return found, round(time.process_time() - began, 3)


def memory() -> int:
    """The memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
