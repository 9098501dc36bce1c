"""``nstbatch export``: from a PyTorch network to a bundle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nstbatch.runtime.errors import UsageError

from .logs import set_verbosity
from .options import Overwrite, Quiet, Verbose, parse_layers
from .text import columns, printable

if TYPE_CHECKING:
    from nstbatch.exporter.export import Export

INSTALL_TORCH = "pip install 'torch>=2.13' 'torchvision>=0.28'"

Source = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE.py:FACTORY|MODULE:FACTORY",
        help="A backbone's name, or the function that returns the network.",
        show_default=False,
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        "--name", help="What the bundle is called; its source by default.", show_default=False
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Its weights, .safetensors or .pth; the backbone's usual ones by default.",
        show_default=False,
    ),
]
Sha256 = Annotated[
    str | None,
    typer.Option(
        "--sha256", metavar="HEX", help="What --weights must hash to.", show_default=False
    ),
]
Layers = Annotated[
    list[str] | None,
    typer.Option(
        "--layers",
        metavar="GLOB,...",
        help="Which layers to take, such as 'relu*'. May be repeated.",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FOLDER",
        help="The bundle's folder; by default one where `nstbatch models` finds it.",
        show_default=False,
    ),
]
Verify = Annotated[
    bool, typer.Option("--verify", help="Compare the graphs with PyTorch's autograd.")
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

    Prints the bundle's folder.
    """
    set_verbosity(quiet=quiet, verbose=verbose)
    _require_torch()
    from nstbatch.exporter.export import export_bundle

    exported = export_bundle(
        source,
        name=name,
        weights=weights,
        sha256=sha256,
        layers=parse_layers(layers) or (),
        out=out,
        overwrite=overwrite,
        log=(lambda line: None) if quiet else _print_progress,
    )
    print(printable(exported.bundle.path))
    if verify:
        _verify(exported)


def _require_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"Exporting needs PyTorch, which does not load ({error}). "
            f"To change that: {INSTALL_TORCH}"
        ) from error


def _print_progress(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)


def _verify(exported: Export) -> None:
    from nstbatch.exporter.verify import verify_bundle

    rows = [("GRAPH", "SIZE", "RELATIVE ERROR")]
    for graph, size, error in verify_bundle(exported):
        rows.append((str(graph), str(size), f"{error:.1e}"))
    print("\n".join(columns(rows)))
