"""The choice among the kinds of processes that paint a batch."""

from __future__ import annotations

from collections.abc import Mapping

from nstbatch.cli.jobs.engines import ENGINES, LOCAL, RAY
from nstbatch.cli.jobs.parameters import Setting
from nstbatch.runtime.errors import UnknownNameError, UsageError

from .processes import Processes
from .ray_processes import RayProcesses


def processes_of(settings: Mapping[str, Setting]) -> Processes:
    """Return the processes that the options of a command ask for.

    Args:
        settings: The values of the options by their long names.

    Raises:
        UsageError: Options exclude each other or are missing, or there is no such device.
    """
    engine = settings.get("engine", LOCAL)
    if engine not in ENGINES:
        raise UnknownNameError("engine", str(engine), ENGINES)
    if engine == RAY:
        return RayProcesses.of(settings)
    if settings.get("address"):
        raise UsageError(f"--address goes only with --engine {RAY}.")
    return Processes.of(settings)
