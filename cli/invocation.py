"""How a command was called: what the ledger keeps, so that it can be called again.

Every option of a verb comes along by itself: whoever adds one does not have to think of the ledger.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

PROGRAM = "nstbatch"


@dataclass(frozen=True)
class Call:
    """The words behind the program's name, and how they came to be called.

    Attributes:
        arguments: The words.
        only: The pictures to make, by their paths in the output folder; all of them if None.
        resume: The words that go on with it, where they are not the same ones.
    """

    arguments: tuple[str, ...]
    only: frozenset[str] | None = None
    resume: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Invocation:
    """A verb, and the values of all its options by their long names, ``tv_weight``."""

    verb: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    call: Call = Call(())

    @property
    def command(self) -> list[str]:
        """The words that were typed, the program's name first."""
        return [PROGRAM, *self.call.arguments]

    @property
    def resume(self) -> list[str]:
        """The words that go on with it after it was stopped."""
        return self.command if self.call.resume is None else [PROGRAM, *self.call.resume]


def invocation(context: typer.Context) -> Invocation:
    """Return how the verb of this context was called."""
    settings = {}
    for parameter in context.command.params:
        names = [name for name in parameter.opts if name.startswith("--")]
        if names and parameter.name in context.params:
            name = max(names, key=len).removeprefix("--").replace("-", "_")
            settings[name] = as_json(context.params[parameter.name])
    call = context.find_root().obj
    return Invocation(
        context.command.name or "", settings, call if isinstance(call, Call) else Call(())
    )


def as_json(value: object) -> object:
    """Return an option's value as JSON has it: paths are strings, tuples are lists."""
    if isinstance(value, Path):
        return os.fspath(value)
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return value
