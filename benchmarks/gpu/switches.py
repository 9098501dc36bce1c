"""Our own choices on CUDA, each switched the other way: what is each of them worth?

Their rows stand beside the one of the choices as they are, in the same case. **Not run on a GPU
yet.**
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection

from nstbatch.benchmarks.contest.contestants import OnnxContestant
from nstbatch.benchmarks.contest.worker import Job, open_warm, reporting_failures
from nstbatch.benchmarks.tasks.matrix_rate import fastest
from nstbatch.benchmarks.tasks.turns import take_turn
from nstbatch.runtime.devices.providers import Provider


@dataclass(frozen=True)
class Switch:
    """One choice, switched.

    Attributes:
        name: Its name in the table, behind that of the device.
        precision: Precision of the network.
        changes: Options of CUDA's provider, in the place of those of
            :func:`nstbatch.runtime.devices.provider_options.cuda_options`.
        captures: False to record no CUDA graphs.
        plans_memory: True to let ONNX Runtime plan the memory of all activations as one block.
    """

    name: str
    precision: str
    changes: tuple[tuple[str, str], ...] = ()
    captures: bool = True
    plans_memory: bool = False

    @property
    def contestant(self) -> str:
        """Its name among the contestants."""
        return f"cuda {self.name}"


# The most telling first. docs/decisions/0031-fewer-passes-over-maps.md has what is rewritten in the
# graph itself, which has no switch.
SWITCHES = (
    Switch("no-tf32", "fp16", (("use_tf32", "0"),)),
    Switch(
        "nchw",
        "fp16",
        (
            ("prefer_nhwc", "0"),
            ("fuse_conv_bias", "0"),
        ),
    ),
    Switch("no-cuda-graphs", "fp16", captures=False),
    Switch("bias-apart", "fp16", (("fuse_conv_bias", "0"),)),
    Switch("memory-pattern", "fp16", plans_memory=True),
    Switch("default-algorithms", "fp16", (("cudnn_conv_algo_search", "HEURISTIC"),)),
    Switch("small-workspace", "fp16", (("cudnn_conv_use_max_workspace", "0"),)),
    Switch("tf32", "fp32", (("use_tf32", "1"),)),
    Switch("nhwc", "fp32", (("prefer_nhwc", "1"),)),
)


@dataclass(frozen=True)
class Switched(Provider):
    """CUDA with one choice switched."""

    switch: Switch = SWITCHES[0]

    @property
    def captures(self) -> bool:
        """True if its sessions record their passes as CUDA graphs."""
        return self.switch.captures

    @property
    def changes(self) -> Mapping[str, str]:
        """The options of CUDA's provider that differ."""
        return dict(self.switch.changes)

    @property
    def plans_memory(self) -> bool:
        """True if the memory of all activations is planned as one block."""
        return self.switch.plans_memory


def serve_switched(pipe: Connection, job: tuple[Job, Switch]) -> None:
    """Warm up a contestant with a switch, and let it take turns.

    See :func:`nstbatch.benchmarks.contest.worker.serve`.
    """
    usual, switch = job
    provider = Switched("cuda", switch.precision, switch=switch)
    with reporting_failures(pipe, usual.threads):
        contestant, opened = open_warm(
            lambda: OnnxContestant(usual.task, usual.entry, usual.threads, provider), usual.warm_up
        )
        products = fastest(contestant.products())
        pipe.send(opened)
        while pipe.recv():
            pipe.send(take_turn(contestant.step, products, usual.steps))
