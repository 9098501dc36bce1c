"""The parameters of a verb, read from the command line that Typer has made of it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, TypeVar, get_args

from nstbatch.cli.jobs.parameters import Neutral, Parameter, Scope, as_json

Mark = TypeVar("Mark")

CONFIG = "config"
HELP = ("help", "help_all")

# Metavars of parameters that take a path; beside another word, a path is one of several values.
_PLACES = {"INPUT", "EXEMPLAR", "IMAGE", "PICTURE", "FOLDER", "FILE"}


def parameters(command: Any) -> list[Parameter]:
    """Return the parameters of a verb, without ``--config`` and those that show help."""
    scopes = dict(_marks(command, Scope))
    neutral = dict(_marks(command, Neutral))
    found = [_parameter(made, scopes, made.name in neutral) for made in command.params]
    return [each for each in found if each.name not in (CONFIG, *HELP)]


def _marks(command: Any, kind: type[Mark]) -> Iterator[tuple[str, Mark]]:
    """Yield the marks of a kind that the verb's function declares in its annotations."""
    for parameter in inspect.signature(command.callback, eval_str=True).parameters.values():
        for mark in get_args(parameter.annotation):
            if isinstance(mark, kind):
                yield parameter.name, mark


def _parameter(made: Any, scopes: dict[str, Scope], is_neutral: bool) -> Parameter:
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
        is_neutral=is_neutral,
    )
