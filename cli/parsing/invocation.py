"""The invocation of a verb, read from Typer's context."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nstbatch.cli.jobs.invocation import Call, Invocation
from nstbatch.cli.jobs.parameters import as_json

from .parameters import parameters

if TYPE_CHECKING:
    import typer


def invocation(context: typer.Context) -> Invocation:
    """Return the invocation of the verb that this context is of."""
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
