"""Commands whose help shows no value for a switch: ``--overwrite``, not ``--overwrite <bool>``.

Their paths may be addresses of objects.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup

from nstbatch.runtime.storage.addresses import located, with_whole_query


class PlainCommand(TyperCommand):
    """A command with switches, whose paths may be addresses: ``s3://bucket/photos``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words."""
        return super().parse_args(ctx, list(map(with_whole_query, args)))

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a UsageError for an address that no object can have."""
        ctx.params = {name: _located(value) for name, value in ctx.params.items()}
        return super().invoke(ctx)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, for Typer."""
        return _without_values(super().get_params(ctx))


class PlainGroup(TyperGroup):
    """A group of commands, itself with switches."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, for Typer."""
        return _without_values(super().get_params(ctx))


def _without_values(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


def _located(value: Any) -> Any:
    if isinstance(value, Path):
        return located(value)
    if isinstance(value, list | tuple):
        return type(value)(map(_located, value))
    return value
