"""Counts launches and bytes of every step and update on the stub of a GPU.

    python tests/gpu/renew_counts.py [--side PIXELS] [--names PART ...]

Without options it writes counts.json beside this file. With them it prints a table instead.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stub_gpu import StubGpu, made_in

HERE = Path(__file__).parent
COUNTS = HERE / "counts.json"
PRECISIONS = ("fp16", "fp32")


def recorded(
    gpu: StubGpu,
    names: Sequence[str] = (),
    precisions: Sequence[str] = PRECISIONS,
    side: int | None = None,
    **settings: str,
) -> dict[str, dict[str, Any]]:
    """Run verbs on the stub, a process for each precision.

    Args:
        gpu: The stub.
        names: Parts of the names of the runs; all without any.
        precisions: Precisions.
        side: Side of the pictures; None for that of the tests.
        settings: Of the stub.

    Returns:
        The facts of recordings.py, by precision and name.
    """
    with tempfile.TemporaryDirectory() as folder:
        started = {}
        for precision in precisions:
            out, trace = Path(folder, f"{precision}.json"), Path(folder, f"{precision}.trace")
            command = [sys.executable, str(HERE / "recordings.py"), str(out), precision]
            command += ["--names", *names] if names else []
            command += ["--side", str(side)] if side else []
            trace.touch()
            environment = gpu.environment(trace, **settings)
            paths = (environment["PYTHONPATH"], str(HERE.parent / "runtime"))
            environment["PYTHONPATH"] = os.pathsep.join(paths)
            process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
            started[out] = (precision, process)
        found = {}
        for out, (precision, process) in started.items():
            _, errors = process.communicate()
            if process.returncode or errors:  # nothing is said but by exceptions
                raise RuntimeError(errors)
            found[precision] = json.loads(out.read_text())
        return found


def counts_of(run: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """The largest launches and bytes of a run's steps and updates."""
    counts = dict[str, dict[str, int]]()
    for session in run["sessions"]:
        if session["launches"]:
            before = counts.get(session["kind"], {"launches": 0, "bytes": 0})
            counts[session["kind"]] = {
                "launches": max(before["launches"], *session["launches"]),
                "bytes": max(before["bytes"], session["moved_bytes"]),
            }
    return counts


def main() -> None:
    """Count, and write or print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--names", nargs="*", default=())
    parser.add_argument("--side", type=int)
    parser.add_argument("--precision", choices=PRECISIONS)
    arguments = parser.parse_args()
    precisions = (arguments.precision,) if arguments.precision else PRECISIONS
    with tempfile.TemporaryDirectory() as folder:
        found = recorded(made_in(Path(folder)), arguments.names, precisions, arguments.side)
    counts = {
        precision: {name: counts_of(run) for name, run in runs.items() if run["is_steady"]}
        for precision, runs in found.items()
    }
    if arguments.names or arguments.side or arguments.precision:
        print(table(counts))
    else:
        COUNTS.write_text(json.dumps(counts, indent=1) + "\n")


def table(counts: Mapping[str, Mapping[str, Mapping[str, Mapping[str, int]]]]) -> str:
    """A Markdown table."""
    lines = ["| run | precision | session | launches | MB |", "|---|---|---|---|---|"]
    lines += [
        f"| {name} | {precision} | {kind} | {count['launches']} | {count['bytes'] / 1e6:.1f} |"
        for precision, runs in counts.items()
        for name, kinds in runs.items()
        for kind, count in kinds.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
