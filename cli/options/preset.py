"""``--preset``: named sets of options, and ``--preset-table``, which shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, cast

import typer

from nstbatch.cli.jobs.parameters import Scope
from nstbatch.cli.parsing.panels import PICTURE, complete
from nstbatch.cli.parsing.toml_options import Level, is_of_defaults, use
from nstbatch.cli.text import columns
from nstbatch.runtime.checks import one_of
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.style import nearest_neighbor_presets, style_transfer_presets
from nstbatch.runtime.style.nearest_neighbor_options import NearestNeighborOptions
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.style.style_transfer_presets import PRESET_NAMES, Preset

from .methods import GATYS, NNST

_TABLES: Mapping[str, Mapping[Preset, Mapping[str, str | float]]] = {
    GATYS: style_transfer_presets.PRESETS,
    NNST: nearest_neighbor_presets.PRESETS,
}
_DEFAULTS: dict[str, StyleTransferOptions | NearestNeighborOptions] = {
    GATYS: StyleTransferOptions(),
    NNST: NearestNeighborOptions(),
}


def _load(context: typer.Context, name: str) -> str:
    """Let the rest of the command line take its defaults from a preset.

    One that the user's own defaults choose does not win over the options beside it.

    Raises:
        UnknownNameError: There is no such preset.
    """
    if not context.resilient_parsing:
        use_preset(context, name, context.params.get("method", GATYS))
    return name


def use_preset(context: typer.Context, name: str, method: str) -> None:
    """Let the rest of the command line take its defaults from a preset of a method.

    The options for both are read before all others, in the order in which they are typed.

    Raises:
        UnknownNameError: There is no such preset.
        UsageError: It belongs to another method.
    """
    one_of("preset", name, PRESET_NAMES)
    presets = _TABLES[method]
    if name not in presets:
        raise UsageError(f"--preset {name} does not go with --method {method}.")
    chosen = presets[cast("Preset", name)]
    of_defaults = is_of_defaults(context, "preset")
    level = Level.PRESET_OF_DEFAULTS if of_defaults else Level.PRESET
    use(context, level, {key: str(value) for key, value in chosen.items()})


def _print_table(wanted: bool) -> None:
    if wanted:
        print("\n".join(preset_table()))
        print("\n".join(["", f"With --method {NNST}:", *preset_table(NNST)]))
        raise typer.Exit


def preset_table(method: str = GATYS) -> list[str]:
    """Return the options that a method's presets change, a line for each, with their values."""
    presets, defaults = _TABLES[method], asdict(_DEFAULTS[method])
    changed = dict.fromkeys(option for preset in presets.values() for option in preset)
    rows = [("option", *presets)]
    for option in changed:
        values = (shown(presets[name].get(option, defaults[option])) for name in presets)
        rows.append((f"--{option.replace('_', '-')}", *values))
    return columns(rows)


def shown(value: object) -> str:
    """Return a value as it may be typed: 20 for 20.0."""
    return f"{value:g}" if isinstance(value, float) else str(value)


PresetName = Annotated[
    str,
    typer.Option(
        "--preset",
        metavar="|".join(PRESET_NAMES),
        callback=_load,
        is_eager=True,  # before the options that it has the defaults of
        help="Other defaults, see --preset-table; options that you give win.",
        autocompletion=complete(PRESET_NAMES),
        rich_help_panel=PICTURE,
    ),
    Scope.CALL,  # a recipe and a settings file have the options themselves
]
PresetTable = Annotated[
    bool,
    typer.Option(
        "--preset-table",
        callback=_print_table,
        is_eager=True,
        help="Print the options that the presets set, and end.",
        rich_help_panel=PICTURE,
    ),
    Scope.CALL,
]
