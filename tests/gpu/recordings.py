"""Runs verbs on the stub of a GPU, and writes down what each of their sessions did.

    python recordings.py OUT.json PRECISION [--names PART ...] [--side N]

It runs in the environment of :class:`stub_gpu.StubGpu`, whose STUB_TRACE it reads. OUT.json then
has, by the name of each run (see every_graph.py), its error, or the facts of each session.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import every_graph
import onnxruntime as ort
from moved_bytes import moved_bytes

from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.engine.onnxruntime_session import OnnxRuntimeSession
from nstbatch.runtime.engine.session import BoundPass
from nstbatch.runtime.names import LOSSES


@dataclass
class SessionFacts:
    """The facts of one session: on which providers its nodes are, and its recorded pass."""

    kind: str
    elsewhere: list[str]
    """Operators that are not on CUDA."""
    is_to_be_captured: bool
    is_captured: bool
    moved_bytes: int
    passes: int = 0
    """Passes over fixed buffers: two for each batch of pictures, there and back."""
    recordings: int = 0
    launches: list[int] = field(default_factory=list)
    """Kernels and calls of libraries, in each recording."""
    forbidden: list[str] = field(default_factory=list)


class Witness:
    """Watches all sessions of this process."""

    def __init__(self, folder: Path) -> None:
        self.trace = Path(os.environ["STUB_TRACE"])
        self.folder = folder
        self.sessions: list[SessionFacts] = []
        self.model = folder / "optimised.onnx"
        self._numbers: dict[int, int] = {}
        self._watch_options()
        self._watch_sessions()
        self._watch_passes()

    def _watch_options(self) -> None:
        options_of = Provider.session_options

        def session_options(provider: Provider, *args: Any, **choices: Any) -> ort.SessionOptions:
            options = options_of(provider, *args, **choices)
            if choices.get("captured"):
                options.optimized_model_filepath = str(self.model)
            return options

        Provider.session_options = session_options  # type: ignore[method-assign]

    def _watch_sessions(self) -> None:
        opened = OnnxRuntimeSession.__init__

        def init(session: OnnxRuntimeSession, *args: Any, **choices: Any) -> None:
            self.model.unlink(missing_ok=True)
            opened(session, *args, **choices)
            if (
                session._provider.memory != "cuda"
            ):  # how large activations get is measured elsewhere
                return
            parts = session._session.get_provider_graph_assignment_info()
            nodes = [(part.ep_name, node.op_type) for part in parts for node in part.get_nodes()]
            self.sessions.append(
                SessionFacts(
                    _kind(session),
                    sorted({kind for ep, kind in nodes if ep != "CUDAExecutionProvider"}),
                    choices["captured"],
                    session.is_captured,
                    moved_bytes(self.model) if self.model.exists() else 0,
                )
            )
            self._numbers[id(session)] = len(self.sessions) - 1

        OnnxRuntimeSession.__init__ = init  # type: ignore[method-assign]

    def _watch_passes(self) -> None:
        bind = OnnxRuntimeSession.bind

        def bound(session: OnnxRuntimeSession, *args: Any, **choices: Any) -> BoundPass:
            if (number := self._numbers.get(id(session))) is not None:
                self.sessions[number].passes += 1
            return bind(session, *args, **choices)

        OnnxRuntimeSession.bind = bound  # type: ignore[method-assign]
        pass_once = OnnxRuntimeSession.pass_once

        def passed(session: OnnxRuntimeSession, run: Callable[[], None], **choices: Any) -> None:
            def noted() -> None:  # in the thread of all passes
                with self.trace.open("a") as file:
                    file.write(f"session {self._numbers.get(id(session), -1)}\n")
                run()

            pass_once(session, noted, **choices)

        OnnxRuntimeSession.pass_once = passed  # type: ignore[method-assign]

    def facts(self) -> list[SessionFacts]:
        """All sessions since the last call, with their recordings."""
        number, recording = -1, list[str]()
        is_recorded = False
        for line in self.trace.read_text().splitlines():
            word, _, rest = line.partition(" ")
            if word == "session":
                number = int(rest)
            elif word == "begin":
                is_recorded, recording = True, []
            elif word == "end":
                is_recorded = False
                _add(self.sessions[number], recording)
            elif word == "illegal":
                self.sessions[number].forbidden.append(rest)
            elif word == "launch" and is_recorded:
                recording.append(rest)
        found, self.sessions, self._numbers = self.sessions, [], {}
        os.truncate(self.trace, 0)
        return found


def _add(session: SessionFacts, recording: Sequence[str]) -> None:
    session.recordings += 1
    session.launches.append(len(recording))


def _kind(session: OnnxRuntimeSession) -> str:
    names = session.output_shapes
    return "step" if LOSSES in names else "update" if "image_out" in names else "other"


def on_gpu(precision: str, **choices: Any) -> every_graph.On:
    """A function that makes systems on the GPU."""
    return lambda kind, *arguments: kind(
        *arguments, device="cuda", precision=precision, threads=1, **choices
    )


def chosen(parts: Sequence[str]) -> Iterator[tuple[str, every_graph.Run]]:
    """The runs whose names have one of the parts; all without any."""
    for name, run in every_graph.runs():
        if not parts or any(part in name for part in parts):
            yield name, run


def main() -> None:
    """Run the verbs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("precision")
    parser.add_argument("--names", nargs="*", default=())
    parser.add_argument("--side", type=int, default=every_graph.SIDE)
    arguments = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        witness = Witness(Path(folder))
        for name, run in chosen(arguments.names):
            error, began = None, time.monotonic()
            try:
                run(on_gpu(arguments.precision), arguments.side)
            except Exception as problem:  # it goes into the report, and the next run begins
                error = f"{type(problem).__name__}: {problem}"
            seconds = time.monotonic() - began
            sessions = [asdict(one) for one in witness.facts()]
            found[name] = {
                "error": error,
                "seconds": seconds,
                "sessions": sessions,
                # Which pictures of a batch step together depends on when their threads come.
                "is_steady": name != every_graph.BATCH,
            }
    arguments.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
