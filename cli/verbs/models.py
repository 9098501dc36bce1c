"""``nstbatch models``: lists the built-in and installed networks."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from nstbatch.cli.parsing.panels import REPORTING
from nstbatch.cli.text import columns, printable
from nstbatch.runtime.errors import BundleError

if TYPE_CHECKING:
    from nstbatch.runtime.bundles.bundle import Bundle

SOURCE_WIDTH = 60  # characters in the table, a guess; the details and --json show it all

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME|FOLDER]", help="Network to show with its layers.", show_default=False
    ),
]

Json = Annotated[
    bool,
    typer.Option(
        "--json", help="Print the manifests of the networks as JSON.", rich_help_panel=REPORTING
    ),
]


def models(name: Name = None, as_json: Json = False) -> None:
    """List the networks, or show one network with its layers."""
    from nstbatch.runtime.bundles.bundle import Bundle, installed

    bundles: list[Bundle] = []
    broken: list[str] = []
    for known in [name] if name else installed():
        try:
            bundles.append(Bundle.load(known))
        except BundleError as error:
            if name:
                raise
            broken.append(f"{known}: {error}")
    if as_json:
        records = [_record(bundle) for bundle in bundles]
        print(json.dumps(records[0] if name else records, indent=1))
    else:
        print("\n".join(_details(bundles[0]) if name else _table(bundles)))
    for line in broken:
        typer.echo(f"nstbatch: {printable(line)}", err=True)


def _megabytes(bundle: Bundle) -> str:
    return f"{bundle.size_bytes / 1e6:.1f} MB"


def _table(bundles: list[Bundle]) -> list[str]:
    rows = [("NAME", "LAYERS", "SIZE", "POOLING", "LICENCE", "WEIGHTS FROM")]
    for bundle in bundles:
        rows.append(
            (
                printable(bundle.path.name),
                str(len(bundle.layers)),
                _megabytes(bundle),
                ",".join(bundle.poolings),
                printable(bundle.weights_licence),
                textwrap.shorten(
                    printable(bundle.weights_source), SOURCE_WIDTH, placeholder=" ..."
                ),
            )
        )
    return columns(rows)


def _details(bundle: Bundle) -> list[str]:
    facts = {
        "name": bundle.name,
        "architecture": bundle.architecture,
        "folder": str(bundle.path),
        "size": _megabytes(bundle),
        "pooling": ", ".join(bundle.poolings),
        "weights from": bundle.weights_source,
        "licence": bundle.weights_licence,
        "classes": str(len(bundle.classes)) if bundle.classes else "none",
        "exported by": f"nstbatch {bundle.exporter_version}, torch {bundle.torch_version}",
        "opset": str(bundle.opset),
        "style layers": ", ".join(bundle.style_layers),
        "content layers": ", ".join(bundle.content_layers),
    }
    rows = [("LAYER", "CHANNELS", "STRIDE", "RECEPTIVE FIELD")]
    for layer in bundle.layers:
        field = layer.receptive_field
        rows.append(
            (
                printable(layer.name),
                str(layer.channels),
                "whole image" if layer.stride is None else str(layer.stride),
                "whole image" if field is None else f"{field} px",
            )
        )
    heading = columns([(f"{key}:", printable(value)) for key, value in facts.items()])
    return [*heading, "", *columns(rows)]


def _record(bundle: Bundle) -> dict[str, object]:
    return bundle.to_json() | {"path": str(bundle.path), "size_bytes": bundle.size_bytes}
