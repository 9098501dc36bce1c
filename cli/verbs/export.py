"""``nstbatch export``: makes a bundle from a PyTorch network."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nstbatch.cli.console.logs import import_onnxruntime, set_verbosity
from nstbatch.cli.extras import torch_needed
from nstbatch.cli.options.reporting import Verbose
from nstbatch.cli.parsing.layers import parse_layers
from nstbatch.cli.parsing.panels import REPORTING
from nstbatch.cli.text import columns, printable
from nstbatch.runtime.bundles.exportable import EXPORTABLE
from nstbatch.runtime.errors import BundleError

if TYPE_CHECKING:
    from nstbatch.exporter.checks.verify import Row
    from nstbatch.exporter.export import Export

Source = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE.py:FACTORY|MODULE:FACTORY",
        help=f"Name of a network: {', '.join(EXPORTABLE)}, or a built-in one; or a function that "
        "returns a network.",
        show_default=False,
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        "--name", help="Name of the bundle; by default that of the network.", show_default=False
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print errors only.", rich_help_panel=REPORTING)
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Weights file, .safetensors or .pth; by default the network's usual weights.",
        show_default=False,
    ),
]
Sha256 = Annotated[
    str | None,
    typer.Option(
        "--sha256", metavar="HEX", help="SHA-256 that --weights must have.", show_default=False
    ),
]
Layers = Annotated[
    list[str] | None,
    typer.Option(
        "--layers",
        metavar="GLOB,...",
        help="Layers to export, such as 'relu*'; all by default. May be repeated.",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FOLDER",
        help="Folder of the bundle; by default one that `nstbatch models` searches.",
        show_default=False,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing bundle.")]
Verify = Annotated[
    bool, typer.Option("--verify", help="Compare the exported graphs with PyTorch's autograd.")
]


def export(
    source: Source,
    name: Name = None,
    weights: Weights = None,
    sha256: Sha256 = None,
    layers: Layers = None,
    out: Out = None,
    overwrite: Overwrite = False,
    verify: Verify = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Export a PyTorch network as a bundle; needs torch and torchvision.

    A bundle is a folder with the graphs and weights of a network. `--model NAME`
    then takes it, and needs no PyTorch. Prints the folder.
    """
    set_verbosity(quiet=quiet, verbose=verbose)
    with torch_needed():
        from nstbatch.exporter.export import export_bundle

    log = _no_progress if quiet else _print_progress
    exported = export_bundle(
        source,
        name=name,
        weights=weights,
        sha256=sha256,
        layers=parse_layers(layers) or (),
        out=out,
        overwrite=overwrite,
        log=log,
    )
    if not quiet:
        print(printable(exported.bundle.path), flush=True)
    if verify:
        _verify(exported, log, quiet=quiet)


def _print_progress(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)


def _no_progress(line: str) -> None:
    pass


def _verify(exported: Export, log: Callable[[str], None], *, quiet: bool) -> None:
    """Print the errors against autograd; raise a BundleError if one is too large."""
    import_onnxruntime()
    from nstbatch.exporter.checks.verify import TOLERANCE, verify

    rows = verify(exported, log)
    titles = ("GRAPH", "PICTURE", "SIZE", "BATCH", "LAYERS", "GRADIENT", "")
    wrong = sum(not row.is_right for row in rows)
    if wrong or not quiet:
        print("\n".join(columns([titles, *map(_cells, rows)])), flush=True)
    if wrong:
        raise BundleError(
            f"{wrong} of {len(rows)} comparisons with PyTorch are off by more than {TOLERANCE:g}."
        )


def _cells(row: Row) -> tuple[str, ...]:
    gradient = "-" if row.gradient is None else f"{row.gradient:.1e}"
    # Rounding alone may explain the error: see nstbatch.exporter.checks.margins.
    note = "" if row.is_clear else "(a close decision)"
    size = f"{row.height}x{row.width}"
    return row.graph, row.picture, size, str(row.batch), f"{row.layers:.1e}", gradient, note
