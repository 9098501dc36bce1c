"""Help in two lengths: ``--help`` shows the options that most people use, ``--help-all`` all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from .switches import PlainCommand

HELP_ALL = "help_all"

COMMON = frozenset(
    {
        *("out", "recursive", "overwrite", "dry_run"),
        *("preset", "size", "iterations", "seed"),
        *("model", "device", "format_", "report", "preview"),
        # stylize
        *("style", "each_style", "method", "style_weight", "content_weight", "init"),
        *("color", "mask", "style_mask"),
        # texture, reconstruct, deconv, dream
        *("variations", "exemplar_size", "tileable", "layers", "up_to"),
        *("layer", "filters", "compare", "checkpoints"),
        *("channels", "guide", "octaves", "classes", "frames", "video"),
    }
)
"""The options of ``--help``, by their names in the verbs' functions."""


class ShortHelpCommand(PlainCommand):
    """A command whose ``--help`` leaves out the options that few people use."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, for Typer."""
        with _without(self.rare(ctx)):
            super().format_help(ctx, formatter)

    def rare(self, ctx: Any) -> list[Any]:
        """Return the options that this help leaves out."""
        if ctx.meta.get(HELP_ALL):
            return []
        kept = COMMON | {HELP_ALL, "help"}
        options = (each for each in self.get_params(ctx) if each.opts[0].startswith("-"))
        return [each for each in options if each.name not in kept]


@contextmanager
def _without(options: list[Any]) -> Iterator[None]:
    """Hide options within a ``with`` block."""
    for option in options:
        option.hidden = True
    try:
        yield
    finally:
        for option in options:
            option.hidden = False


def show_all(context: Any, wanted: bool) -> bool:
    """Print the whole help and end, if wanted: the callback of ``--help-all``."""
    if wanted and not context.resilient_parsing:
        context.meta[HELP_ALL] = True
        print(context.get_help())
        raise typer.Exit
    return wanted
