"""The parameters of a verb, read from the command line that Typer has made of it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, get_args

from nstbatch.cli.jobs.parameters import Parameter, Scope, as_json

CONFIG = "config"

# Metavars of parameters that take a path; beside another word, a path is one of several values.
_PLACES = {"INPUT", "EXEMPLAR", "IMAGE", "PICTURE", "FOLDER", "FILE"}


def parameters(command: Any) -> list[Parameter]:
    """Return the parameters of a verb, without ``--config`` and ``--help``."""
    scopes = dict(_scopes(command))
    found = [_parameter(made, scopes) for made in command.params]
    return [each for each in found if each.name not in (CONFIG, "help")]


def _scopes(command: Any) -> Iterator[tuple[str, Scope]]:
    """Yield the scopes that the verb's function declares in its annotations."""
    for parameter in inspect.signature(command.callback, eval_str=True).parameters.values():
        for mark in get_args(parameter.annotation):
            if isinstance(mark, Scope):
                yield parameter.name, mark


def _parameter(made: Any, scopes: dict[str, Scope]) -> Parameter:
    is_option = made.opts[0].startswith("-")
    words = set((made.metavar or "").rstrip(".").split("|"))
    return Parameter(
        key=made.name,
        option=max(made.opts, key=len) if is_option else None,
        default=as_json(made.default),
        is_flag=bool(getattr(made, "is_flag", False)),
        is_list=bool(getattr(made, "multiple", False)) or made.nargs == -1,
        may_be_path=bool(words & _PLACES),
        is_path=words <= _PLACES,
        # An option that declares nothing counts: better a picture too many than a wrong one kept.
        scope=scopes.get(made.name, Scope.PICTURE),
        words=max(made.nargs, 1),
    )
