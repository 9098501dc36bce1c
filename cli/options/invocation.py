"""How a command was called: what the ledger keeps, so that it can be called again.

Every option of a verb comes along by itself: whoever adds one does not have to think of the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .parameters import Parameter, Setting, as_json, inputs_of, parameters

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
    """A verb, and the values of all its options by their long names, ``tv_weight``.

    Attributes:
        verb: The verb; empty where a library has painted a batch.
        settings: The values.
        call: The words that were typed.
        arguments: What was given without an option: the inputs.
        parameters: What the verb can be told.
    """

    verb: str = ""
    settings: Mapping[str, Setting] = field(default_factory=dict)
    call: Call = Call(())
    arguments: Mapping[str, Setting] = field(default_factory=dict, compare=False)
    parameters: tuple[Parameter, ...] = field(default=(), compare=False)

    @property
    def command(self) -> list[str]:
        """The words that were typed, the program's name first."""
        return [PROGRAM, *self.call.arguments]

    @property
    def resume(self) -> list[str]:
        """The words that go on with it after it was stopped."""
        return self.command if self.call.resume is None else [PROGRAM, *self.call.resume]

    @property
    def values(self) -> dict[str, Setting]:
        """The values of arguments and options, in the order of the help."""
        return {**self.arguments, **self.settings}

    @property
    def inputs(self) -> str | None:
        """See :func:`.parameters.inputs_of`."""
        return inputs_of(self.parameters)

    @property
    def shaping(self) -> dict[str, Setting]:
        """The values that pictures may look different for."""
        names = {parameter.name for parameter in self.parameters if parameter.shapes_picture}
        return {name: value for name, value in self.values.items() if name in names}


def invocation(context: typer.Context) -> Invocation:
    """Return how the verb of this context was called."""
    known = tuple(parameters(context.command))
    values = {
        each: as_json(context.params[each.key]) for each in known if each.key in context.params
    }
    call = context.find_root().obj
    return Invocation(
        context.command.name or "",
        {each.name: value for each, value in values.items() if each.option is not None},
        call if isinstance(call, Call) else Call(()),
        {each.name: value for each, value in values.items() if each.option is None},
        known,
    )
