"""``nstbatch export``: from a PyTorch network to a bundle."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nstbatch.cli.console.logs import set_verbosity
from nstbatch.cli.options.layers import parse_layers
from nstbatch.cli.options.reporting import Quiet, Verbose
from nstbatch.cli.text import columns, printable
from nstbatch.runtime.errors import BundleError, UsageError

if TYPE_CHECKING:
    from nstbatch.exporter.checks.verify import Row
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
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace a bundle that is there already.")
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
    print(printable(exported.bundle.path), flush=True)
    if verify:
        _verify(exported, log)


@contextmanager
def torch_needed() -> Iterator[None]:
    """A UsageError that says how to get PyTorch, where importing the exporter fails."""
    try:
        yield
    except ImportError as error:
        raise UsageError(
            f"Exporting needs PyTorch, which does not load ({error}). "
            f"To change that: {INSTALL_TORCH}"
        ) from error


def _print_progress(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)


def _no_progress(line: str) -> None:
    pass


def _verify(exported: Export, log: Callable[[str], None]) -> None:
    """Print the errors against autograd; a BundleError where one is too large."""
    from nstbatch.exporter.checks.verify import TOLERANCE, verify

    rows = verify(exported, log)
    titles = ("GRAPH", "PICTURE", "SIZE", "BATCH", "LAYERS", "GRADIENT", "")
    print("\n".join(columns([titles, *map(_cells, rows)])), flush=True)
    wrong = sum(not row.is_right for row in rows)
    if wrong:
        raise BundleError(
            f"{wrong} of {len(rows)} comparisons with PyTorch are off by more than {TOLERANCE:g}."
        )


def _cells(row: Row) -> tuple[str, ...]:
    gradient = "-" if row.gradient is None else f"{row.gradient:.1e}"
    # Rounding alone may have turned a decision there: see nstbatch.exporter.checks.margins.
    note = "" if row.is_clear else "(a close decision)"
    size = f"{row.height}x{row.width}"
    return row.graph, row.picture, size, str(row.batch), f"{row.layers:.1e}", gradient, note
