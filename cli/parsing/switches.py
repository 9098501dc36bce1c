"""Commands whose help shows no value for a switch: ``--overwrite``, not ``--overwrite <bool>``."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


class PlainCommand(TyperCommand):
    """A command with switches."""

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
