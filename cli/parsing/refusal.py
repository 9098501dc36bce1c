"""Refuses options that were given and do not apply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nstbatch.runtime.errors import UsageError

from .toml_options import given

if TYPE_CHECKING:
    import typer


def refuse(context: typer.Context, names: Sequence[str], why: str) -> None:
    """Raise a UsageError for the first of these parameters that was given.

    Args:
        context: The context of the verb.
        names: The parameters, by their names in the verb's function.
        why: Follows the option in the message, such as "does not go with --class".
    """
    found = given(context)
    for parameter in context.command.params:
        if parameter.name in names and parameter.name in found:
            shown = parameter.opts[0] if parameter.opts[0].startswith("-") else "A photo"
            raise UsageError(f"{shown} {why}.")
