"""How many workers of a Ray cluster paint a batch, and what each one has."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from nstbatch.cli.jobs.engines import LOCAL, RAY
from nstbatch.cli.jobs.parameters import Setting
from nstbatch.cli.text import count
from nstbatch.runtime.errors import UnknownNameError, UsageError
from nstbatch.runtime.installing import install_command

from .processes import Processes

if TYPE_CHECKING:
    from nstbatch.cli.jobs.plan import Plan
    from nstbatch.cli.output.picture_writer import PictureWriter

    from .channel import Opener
    from .messages import Start

CLIENT = "ray://"
"""Addresses of Ray Client, which relays the calls of a program outside the cluster."""

# More photos than a GPU optimises together: with adam, 8 to 16 small ones fill one.
ON_A_GPU = 32


@dataclass(frozen=True)
class RayProcesses(Processes):
    """The workers of a batch on Ray.

    Attributes:
        address: The address of the cluster; "local" for one that is started for this batch.
    """

    address: str = LOCAL

    @property
    def paint(self) -> bool:
        """See :meth:`Processes.paint`; also a single worker may have what this machine lacks."""
        return True

    @property
    def are_elsewhere(self) -> bool:
        """See :meth:`Processes.are_elsewhere`."""
        return True

    def at_once(self, each: int) -> int:
        """See :meth:`Processes.at_once`; this process cannot tell what fits on another's GPU."""
        return super().at_once(max(each, ON_A_GPU) if self._needs["GPU"] else each)

    @classmethod
    def of(cls, settings: Mapping[str, Setting]) -> RayProcesses:
        """Return the workers that the options of a command ask for.

        Raises:
            UsageError: Options exclude each other or are missing, or Ray is not installed.
        """
        if find_spec("ray") is None:
            raise UsageError(
                f"--engine {RAY} needs Ray, which is not installed. "
                f"To change that: {install_command('ray')}"
            )
        device, gpus, jobs = (settings.get(name) for name in ("device", "gpus", "jobs"))
        threads = settings.get("threads")
        number = _number(jobs, gpus)
        device = _device(str(device), on_gpus=gpus is not None)
        address = settings.get("address") or os.environ.get("RAY_ADDRESS") or LOCAL
        if str(address).startswith(CLIENT):
            raise UsageError(
                f"--address {address} is that of Ray Client: run the command on a machine of the "
                "cluster, with --address auto."
            )
        threads = threads if isinstance(threads, int) else 1
        return cls((device,) * number, threads=threads, address=str(address))

    @property
    def description(self) -> str:
        """The workers in words: "2 Ray workers of 1 CPU"."""
        gpu = " and 1 GPU" if self._needs["GPU"] else ""
        return f"{count(len(self), 'Ray worker')} of {count(int(self._needs['CPU']), 'CPU')}{gpu}"

    @property
    def _needs(self) -> dict[str, float]:
        from nstbatch.runtime.devices.named_gpus import ON_GPUS

        return {"CPU": self.threads or 1, "GPU": 1 if self.devices[0] in ON_GPUS else 0}

    def starts(self, words: Sequence[str], plan: Plan, writer: PictureWriter) -> Iterator[Start]:
        """See :meth:`Processes.starts`."""
        from .messages import Start

        end = words.index("--") if "--" in words else len(words)
        own = ["--engine", LOCAL, "--address", "", "--jobs", "1", "--threads", str(self.threads)]
        own += ["--device", self.devices[0]]
        own += ["--gpus", "1"] if "--gpus" in words else []
        start = Start((*words[:end], *own, *words[end:]), plan, frozenset(), len(self), writer)
        return iter([start] * len(self))

    def opened(self, environment: Mapping[str, str]) -> AbstractContextManager[Opener]:
        """See :meth:`Processes.opened`."""
        from .ray_channel import RayCluster

        return RayCluster(self.address, len(self), self._needs, environment)


def _number(jobs: Setting, gpus: Setting) -> int:
    if jobs is not None and gpus is not None:
        raise UsageError(
            "--jobs and --gpus exclude each other: with --gpus, each Ray worker has one GPU."
        )
    number = gpus if jobs is None else jobs
    if number is None:
        raise UsageError(
            f"--engine {RAY} needs the number of its workers: give --jobs, or --gpus for workers "
            "with a GPU each."
        )
    if not (str(number).isascii() and str(number).isdigit() and int(str(number))):
        raise UsageError(f"With --engine {RAY}, --gpus takes a number from 1 on, not {number!r}.")
    return int(str(number))


def _device(device: str, *, on_gpus: bool) -> str:
    """Return the device of each worker; Ray chooses which GPU that is."""
    from nstbatch.runtime.devices.named_gpus import ON_GPUS
    from nstbatch.runtime.devices.providers import DEVICES

    if "," in device or ":" in device:
        raise UsageError(
            f"Ray chooses the GPU of each worker: give --device {device.partition(':')[0]}, "
            "without numbers."
        )
    if device != "auto" and device not in DEVICES:
        raise UnknownNameError("device", device, DEVICES)
    if not on_gpus:
        return device
    if device == "auto":
        return "cuda"
    if device not in ON_GPUS:
        raise UsageError(f"--gpus goes with a GPU, and this batch is for the device {device!r}.")
    return device
