"""The settings file that every batch leaves beside its pictures, as ``--config`` reads it."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from nstbatch.cli.jobs.invocation import SAVED, Invocation
from nstbatch.cli.jobs.parameters import NO_DEFAULTS, Parameter, Scope, Setting, is_place
from nstbatch.cli.text import printable
from nstbatch.runtime.files import temporary_name, write_atomically
from nstbatch.runtime.storage.addresses import RemotePath

log = logging.getLogger(__name__)

_TOKEN = "settings"


def save(run: Invocation, out: Path) -> None:
    """Write the settings of a batch into its output folder.

    Only one process may do so at a time.

    Raises:
        OSError: It cannot be written.
    """
    data = text(run, out)
    sweep(out)
    write_atomically(out / SAVED, data, _TOKEN)


def text(run: Invocation, out: Path) -> bytes:
    """Return the settings file of a batch for its output folder."""
    import tomli_w

    places = {parameter.name: parameter for parameter in run.parameters if parameter.may_be_path}
    data = {
        name: _relative(places[name], value, out) if name in places else value
        for name, value in run.within(Scope.BATCH).items()
        if value is not None and value != []  # TOML has no null
    }
    if NO_DEFAULTS in data:  # the file holds all values that it needs
        data[NO_DEFAULTS] = True
    left_out = [name for name, value in data.items() if not _fits_in_toml(value)]
    heading = (
        f"# The settings of the last batch in this folder, for nstbatch {run.verb} --config.\n"
    )
    for name in left_out:
        reason = f"{name} is left out, because TOML cannot hold a file name that is not UTF-8"
        heading += f"# {reason}: {_shown(data.pop(name))}\n"
        log.warning("%s: %s.", SAVED, reason)
    return f"{heading}\n{tomli_w.dumps(data)}".encode()


def sweep(out: Path) -> None:
    """Remove the unfinished file of a process that was killed."""
    (out / temporary_name(_TOKEN)).unlink(missing_ok=True)


def _relative(parameter: Parameter, value: Setting, out: Path) -> Setting:
    if isinstance(value, list):
        return [_relative(parameter, element, out) for element in value]
    if not isinstance(value, str) or not is_place(parameter, value, Path()):
        return value
    if isinstance(out, RemotePath):  # no path leads from a store to a disk
        return Path(value).absolute().as_posix()
    try:
        return Path(os.path.relpath(value, out)).as_posix()
    except ValueError:  # on another drive
        return Path(value).absolute().as_posix()


def _fits_in_toml(value: Setting) -> bool:
    """True unless a file name in it has bytes that are not UTF-8, which Python keeps apart."""
    if isinstance(value, list):
        return all(map(_fits_in_toml, value))
    return not isinstance(value, str) or not any("\ud800" <= letter <= "\udfff" for letter in value)


def _shown(value: Setting) -> str:
    """A value in a comment of one line."""
    return printable(" ".join(map(str, value)) if isinstance(value, list) else str(value))
