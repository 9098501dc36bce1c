"""Exports one network at several epochs of its training: a bundle for each weights file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from nstbatch.exporter.networks.weights import load
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.errors import BundleError, UsageError

from .export import export_bundle, find_backbone
from .template import Template


def check_epochs(source: str, files: Sequence[Path], layers: Sequence[str]) -> None:
    """Check that a network has the layers and that every weights file fits it.

    Args:
        source: The network, as in :func:`.export.export_bundle`.
        files: ``.safetensors``, ``.pth`` or ``.pt``.
        layers: Names of layers.

    Raises:
        UsageError: The source cannot be loaded, or a file is missing or does not fit; names it.
        UnknownNameError: The network has no such layer.
    """
    backbone = find_backbone(source, layers)
    network = backbone.build()
    for file in files:
        try:
            load(network, backbone, file)
        except BundleError as error:
            raise UsageError(f"{file} does not fit {source}: {error}") from error


def export_epochs(
    source: str,
    files: Sequence[Path],
    layers: Sequence[str],
    folder: Path,
    log: Callable[[str], None] = lambda line: None,
) -> list[Bundle]:
    """Export a network once for each of several weights files, with max pooling only.

    Args:
        source: The network, as in :func:`.export.export_bundle`.
        files: Weights files that passed :func:`check_epochs`.
        layers: Names of the layers to export.
        folder: Folder for the bundles.
        log: Called with each line of progress.
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
