"""How a command was called. The ledger keeps it, so that the command can be called again.

Every option of a verb is included by itself: a new option needs no change here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .parameters import Parameter, Scope, Setting, inputs_of

if TYPE_CHECKING:
    from .painting import PaintingService

SAVED = "nstbatch.toml"
"""The settings file of the last run, in its output folder."""

PROGRAM = "nstbatch"


@dataclass(frozen=True)
class Call:
    """The words after the program's name, and the reason why they were called.

    Attributes:
        arguments: The words.
        only: The pictures to make, by their paths in the output folder; None for all.
        resume: The words that resume the call, if they differ from ``arguments``.
        settings: The values that the options had when the words were called before.
        run: Runs another command line and returns its exit code; given by the program.
        words: The words that this process runs; they may differ from ``arguments``, too.
        service: Paints for the batch of another process; None for a batch of this one.
    """

    arguments: tuple[str, ...]
    only: frozenset[str] | None = None
    resume: tuple[str, ...] | None = None
    settings: Mapping[str, object] = field(default_factory=dict, compare=False)
    run: Callable[[Sequence[str], Call], int] | None = field(default=None, compare=False)
    words: tuple[str, ...] = field(default=(), compare=False)
    service: PaintingService | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Invocation:
    """A verb, and the values of all its options by their long names, ``tv_weight``.

    Attributes:
        verb: The verb; empty for a batch that a library has made.
        settings: The values of the options.
        call: The words that were typed.
        arguments: The values given without an option: the inputs.
        parameters: The parameters of the verb.
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
        """The words that resume it after it was stopped."""
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
    def changed(self) -> list[str]:
        """The options whose values make other pictures than when the words were called before.

        The files of ``--config`` and of the user's own defaults may have changed meanwhile.
        """
        before = self.call.settings
        now = self.within(Scope.PICTURE)
        return [name for name in now if name in before and before[name] != now[name]]

    def within(self, scope: Scope) -> dict[str, Setting]:
        """Return the values of the arguments and options that reach at least this scope.

        A value without a parameter, as a library may give one, counts as the picture's.
        """
        short = {parameter.name for parameter in self.parameters if parameter.scope < scope}
        return {name: value for name, value in self.values.items() if name not in short}
