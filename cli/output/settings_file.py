"""The settings file that every batch leaves beside its pictures, as ``--config`` reads it."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from nstbatch.cli.jobs.invocation import SAVED, Invocation
from nstbatch.cli.jobs.parameters import Parameter, Scope, Setting, is_place
from nstbatch.runtime.files import temporary_name, write_atomically

log = logging.getLogger(__name__)

_TOKEN = "settings"


def save(run: Invocation, out: Path) -> None:
    """Write the settings of a batch into its output folder.

    Only one process may do so at a time.

    Raises:
        OSError: It cannot be written.
    """
    import tomli_w

    places = {parameter.name: parameter for parameter in run.parameters if parameter.may_be_path}
    data = {
        name: _relative(places[name], value, out) if name in places else value
        for name, value in run.within(Scope.BATCH).items()
        if value is not None and value != []  # TOML has no null
    }
    heading = (
        f"# The settings of the last batch in this folder, for nstbatch {run.verb} --config.\n\n"
    )
    try:
        text = (heading + tomli_w.dumps(data)).encode()
    except UnicodeEncodeError:  # a name that is not UTF-8: TOML cannot hold it
        log.warning("%s is not written: a file's name is not UTF-8.", SAVED)
        return
    sweep(out)
    write_atomically(out / SAVED, text, _TOKEN)


def sweep(out: Path) -> None:
    """Remove the unfinished file of a process that was killed."""
    (out / temporary_name(_TOKEN)).unlink(missing_ok=True)


def _relative(parameter: Parameter, value: Setting, out: Path) -> Setting:
    if isinstance(value, list):
        return [_relative(parameter, element, out) for element in value]
    if not isinstance(value, str) or not is_place(parameter, value, Path()):
        return value
    try:
        return Path(os.path.relpath(value, out)).as_posix()
    except ValueError:  # on another drive
        return Path(value).absolute().as_posix()
