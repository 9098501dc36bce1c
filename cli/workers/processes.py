"""How many processes paint a batch, and which device each one has."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nstbatch.cli.jobs.parameters import Setting
from nstbatch.cli.text import count
from nstbatch.runtime.errors import UsageError

if TYPE_CHECKING:
    from nstbatch.cli.jobs.plan import Plan
    from nstbatch.cli.output.picture_writer import PictureWriter

    from .channel import Opener
    from .messages import Start

log = logging.getLogger(__name__)

ALL = "all"


@dataclass(frozen=True)
class Processes:
    """The processes of a batch.

    Attributes:
        devices: The device of each process. One alone is that of this process itself.
        on_processor: True if the processes divide the cores of this machine.
        threads: Number of threads of each process; None for one for each of its cores.
    """

    devices: tuple[str, ...] = ("auto",)
    on_processor: bool = False
    threads: int | None = None

    @property
    def paint(self) -> bool:
        """True if workers paint, False if this process does so itself."""
        return len(self) > 1

    @property
    def are_elsewhere(self) -> bool:
        """True if they may be on other machines, of which this process knows nothing."""
        return False

    def at_once(self, each: int) -> int:
        """Return the number of photos to hand out at a time, if this process would paint so many.

        A worker takes no more than it can; other photos wait.
        """
        return each * len(self)

    def __len__(self) -> int:
        """Return the number of processes."""
        return len(self.devices)

    @classmethod
    def of(cls, settings: Mapping[str, Setting]) -> Processes:
        """Return the processes that the options of a command ask for.

        Args:
            settings: The values of the options by their long names.

        Raises:
            UsageError: Options exclude each other, or there is no such device.
        """
        device, gpus, jobs = (settings.get(name) for name in ("device", "gpus", "jobs"))
        threads = settings.get("threads")
        if not isinstance(device, str) or "jobs" not in settings:  # a verb without processes
            return cls()
        devices = _on_gpus(device, None if gpus is None else str(gpus))
        if not isinstance(jobs, int) or jobs == 1:
            return cls(devices, threads=threads if isinstance(threads, int) else None)
        if len(devices) > 1 or gpus is not None:
            raise UsageError(
                "--jobs divides the cores of a processor, and with several GPUs each one has a "
                "process: leave --jobs out."
            )
        return cls._on_cores(device, jobs, threads if isinstance(threads, int) else None)

    @classmethod
    def _on_cores(cls, device: str, jobs: int, threads: int | None) -> Processes:
        from nstbatch.runtime.devices.named_gpus import ON_GPUS, device_and_gpu
        from nstbatch.runtime.devices.processor import available_cores
        from nstbatch.runtime.devices.providers import resolve

        chosen, _ = device_and_gpu(device)
        chosen = resolve().device if chosen == "auto" else chosen
        if chosen in ON_GPUS:
            raise UsageError(
                f"--jobs divides the cores of a processor, and this batch is for {chosen!r}: give "
                "--device cpu, or --gpus for several GPUs."
            )
        most = available_cores()
        if jobs > most:
            log.warning("Starting %s, not %d: there are no more cores.", _processes(most), jobs)
        return cls((device,) * min(jobs, most), True, threads)

    def at_most(self, photos: int) -> Processes:
        """Return as many of these processes as there are photos, and at least one."""
        return replace(self, devices=self.devices[: max(1, photos)])

    @property
    def description(self) -> str:
        """The processes in words: "2 processes, on cuda:0 and cuda:1"."""
        if not self.on_processor:
            return f"{_processes(len(self))}, on {', '.join(self.devices)}"
        return f"{_processes(len(self))} of {count(self._threads, 'thread')}"

    @property
    def _threads(self) -> int:
        from nstbatch.runtime.devices.processor import available_cores

        return min(self.threads or available_cores(), max(1, available_cores() // len(self)))

    def starts(self, words: Sequence[str], plan: Plan, writer: PictureWriter) -> Iterator[Start]:
        """Yield the first message to each worker.

        Args:
            words: The command that the batch runs.
            plan: The plan of the batch.
            writer: Makes the files of the pictures.
        """
        from nstbatch.runtime.devices.cores import divided_cores

        from .messages import Start

        cores = divided_cores(len(self)) if self.on_processor else []
        end = words.index("--") if "--" in words else len(words)
        for number, device in enumerate(self.devices):
            own = ["--device", device, "--threads", str(self._threads)]
            own += ["--jobs", "1"] if self.on_processor else []
            own += ["--gpus", "1"] if "--gpus" in words else []
            changed = (*words[:end], *own, *words[end:])
            own_cores = cores[number] if cores else frozenset[int]()
            yield Start(changed, plan, own_cores, len(self), writer)

    def opened(self, environment: Mapping[str, str]) -> AbstractContextManager[Opener]:
        """Return what starts workers inside a ``with`` block.

        Args:
            environment: The environment variables that workers on other machines need.
        """
        from .process import WorkerProcess

        return nullcontext(WorkerProcess)


ALONE = Processes()
"""This process alone."""


def _on_gpus(device: str, gpus: str | None) -> tuple[str, ...]:
    """Return the devices that ``--device`` and ``--gpus`` ask for together."""
    from nstbatch.runtime.devices.named_gpus import ON_GPUS, devices_named

    named = devices_named(device)
    if gpus is None:
        return named
    if gpus != ALL and not (gpus.isascii() and gpus.isdigit() and int(gpus)):
        raise UsageError(f"--gpus takes a number from 1 on, or {ALL!r}, not {gpus!r}.")
    if any(":" in name for name in named):
        if str(len(named)) != gpus:
            raise UsageError(
                f"--gpus {gpus} and --device {device} exclude each other: the device says which "
                "GPUs."
            )
        return named
    chosen = _resolved(device)
    if chosen not in ON_GPUS:
        raise UsageError(f"--gpus goes with a GPU, and this batch is for the device {chosen!r}.")
    return _numbered(chosen, gpus)


def _resolved(device: str) -> str:
    from nstbatch.runtime.devices.providers import resolve

    return resolve().device if device == "auto" else device


def _numbered(device: str, gpus: str) -> tuple[str, ...]:
    """Return the first GPUs of this machine by name."""
    from nstbatch.runtime.devices.nvidia import gpu_count
    from nstbatch.runtime.devices.providers import resolve

    there = gpu_count()
    if not there:
        resolve(device)  # says why
    wanted = there if gpus == ALL else int(gpus)
    if wanted > there:
        raise UsageError(f"There {_are(there)} here, and --gpus asks for {wanted}.")
    return tuple(f"{device}:{number}" for number in range(wanted))


def _are(gpus: int) -> str:
    return "is 1 GPU" if gpus == 1 else f"are {gpus} GPUs"


def _processes(number: int) -> str:
    return "1 process" if number == 1 else f"{number} processes"
