"""One network at several points of its training: a bundle for each file of weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from nstbatch.exporter.networks.weights import load
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.errors import BundleError, UsageError

from .export import export_bundle, find_backbone
from .template import Template


def check_checkpoints(source: str, files: Sequence[Path], layers: Sequence[str]) -> None:
    """Find out whether a network has the layers, and whether all files of weights fit it.

    Args:
        source: The network, as :func:`.export.export_bundle` takes it.
        files: ``.safetensors``, ``.pth`` or ``.pt``.
        layers: Names of layers.

    Raises:
        UsageError: The source cannot be had, or a file is missing or does not fit it; names it.
        UnknownNameError: The network has no such layer.
    """
    backbone = find_backbone(source, layers)
    network = backbone.build()
    for file in files:
        try:
            load(network, backbone, file)
        except BundleError as error:
            raise UsageError(f"{file} does not fit {source}: {error}") from error


def export_checkpoints(
    source: str,
    files: Sequence[Path],
    layers: Sequence[str],
    folder: Path,
    log: Callable[[str], None] = lambda line: None,
) -> list[Bundle]:
    """Export a network with each of several files of weights, with max pooling alone.

    Args:
        source: The network, as :func:`.export.export_bundle` takes it.
        files: Those that :func:`check_checkpoints` lets pass.
        layers: The names of the layers to export.
        folder: Where the bundles go.
        log: Told what is being done, a line at a time.
    """
    bundles, template = [], Template()
    for index, file in enumerate(files):
        log(f"Exporting {file}")
        exported = export_bundle(
            source,
            weights=file,
            layers=layers,
            poolings=("max",),
            out=folder / str(index),
            trace=template.graphs,
        )
        bundles.append(exported.bundle)
    return bundles
