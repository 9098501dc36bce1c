"""Exports a network, one known by name or a user's own, as a bundle."""

from __future__ import annotations

import fnmatch
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch import nn

from nstbatch.exporter.networks import backbones
from nstbatch.exporter.networks.backbones import Backbone
from nstbatch.exporter.networks.custom import custom
from nstbatch.exporter.networks.layers import measure
from nstbatch.exporter.networks.pooling import use_pooling
from nstbatch.exporter.networks.weights import Provenance, load, to_storage
from nstbatch.runtime.bundles.bundle import (
    MANIFEST,
    Bundle,
    Preprocessing,
    graph_name,
    sha256_of,
    user_folder,
    write_manifest,
)
from nstbatch.runtime.checks import POOLINGS, Pooling
from nstbatch.runtime.errors import BundleError, UnknownNameError, UsageError

from .rules import ReluRule
from .store import WeightStore
from .trace import OPSET, LayerNetwork, forward_graph, vjp_graph

Log: TypeAlias = Callable[[str], None]
Graphs: TypeAlias = list[tuple[str, ir.Model]]


@dataclass(frozen=True)
class Export:
    """A bundle and the network it was made from, with the weights as the bundle stores them."""

    bundle: Bundle
    network: nn.Module
    """Takes images that ``preprocessing`` has prepared; its pooling is as it was defined."""
    layers: Mapping[str, str]
    """Layer name -> dotted path of the submodule whose output it is."""
    preprocessing: Preprocessing

    def layer_network(self, pooling: Pooling) -> LayerNetwork:
        """Image -> layers, as the graphs with this pooling compute it."""
        return LayerNetwork(use_pooling(self.network, pooling), self.layers, self.preprocessing)


def export_bundle(
    source: str,
    *,
    name: str | None = None,
    weights: Path | None = None,
    sha256: str | None = None,
    layers: Sequence[str] = (),
    poolings: Sequence[Pooling] = POOLINGS,
    out: Path | None = None,
    overwrite: bool = False,
    trace: Callable[[Export, Log], Graphs] | None = None,
    log: Log = lambda line: None,
) -> Export:
    """Export a network.

    Args:
        source: A name in :data:`nstbatch.exporter.networks.backbones.NAMES`,
            ``package.module:factory`` or ``file.py:factory``.
        name: Name of the bundle; by default the backbone's name.
        weights: A weights file; by default the backbone's own weights.
        sha256: SHA-256 that the file must have.
        layers: Globs over the names of the layers; all by default.
        poolings: Pooling variants to write.
        out: The bundle's folder; by default one where :meth:`Bundle.load` finds it by its name.
        overwrite: True to replace an existing bundle.
        trace: Makes the graphs of an export; :func:`trace_graphs` by default.
        log: Called with each line of progress.

    Raises:
        UsageError: The source cannot be loaded, or the folder exists already.
        UnknownNameError: No layer matches a glob.
        BundleError: The weights do not fit, or have another SHA-256.
    """
    backbone = find_backbone(source, layers)
    folder = out or user_folder() / (name or backbone.name)
    if folder.exists() and not (overwrite and _is_replaceable(folder)):
        raise UsageError(f"{folder} exists already. Use --overwrite to replace a bundle.")
    if weights is not None and sha256 is not None and sha256_of(weights) != sha256.lower():
        raise BundleError(f"{weights} has the SHA-256 {sha256_of(weights)}, not {sha256}.")

    log(f"Weights of {backbone.name}")
    network = backbone.build()
    provenance = load(network, backbone, weights)
    stored = to_storage(network.state_dict())
    network.load_state_dict({key: torch.from_numpy(t) for key, t in stored.items()}, strict=False)

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        draft = Path(temporary) / "bundle"  # only the owner may read the temporary folder itself
        draft.mkdir()
        bundle = _described(draft, name, backbone, network, poolings, provenance)
        export = Export(bundle, network, backbone.layers, provenance.preprocessing)
        _write(export, stored, (trace or trace_graphs)(export, log))
        _put_in_place(draft, folder)
    return replace(export, bundle=Bundle.load(folder))


def _described(
    path: Path,
    name: str | None,
    backbone: Backbone,
    network: nn.Module,
    poolings: Sequence[Pooling],
    provenance: Provenance,
) -> Bundle:
    """The bundle of a network, before any of its files is written."""
    return Bundle(
        path=path,
        name=name or backbone.name,
        architecture=backbone.architecture,
        poolings=tuple(poolings),
        layers=measure(network, backbone.layers),
        preprocessing=provenance.preprocessing,
        style_layers=backbone.style_layers,
        content_layers=backbone.content_layers,
        classes=backbone.classes,
        opset=OPSET,
        torch_version=torch.__version__,
        exporter_version=version("nstbatch"),
        sha256={},
        weights_source=provenance.source,
        weights_licence=provenance.licence,
    )


def _write(export: Export, weights: Mapping[str, NDArray[Any]], graphs: Graphs) -> None:
    """Write the weights, the graphs and the manifest to the bundle's folder."""
    folder = export.bundle.path
    store = WeightStore(folder, weights)
    for file, model in graphs:
        store.share(model)
        (folder / file).write_bytes(ir.to_proto(model).SerializeToString(deterministic=True))
    files = sorted(path.name for path in folder.iterdir())
    hashes = {file: sha256_of(folder / file) for file in files}
    write_manifest(replace(export.bundle, sha256=hashes))


def find_backbone(source: str, patterns: Sequence[str] = ()) -> Backbone:
    """The source as a backbone, with the layers that match a pattern; see :func:`export_bundle`."""
    if ":" in source:
        return custom(source, patterns or ("*",))
    backbone = backbones.get(source)
    for pattern in patterns:
        if not fnmatch.filter(backbone.layers, pattern):
            raise UnknownNameError(f"layer of {source}", pattern, backbone.layers)
    chosen = {
        name: path
        for name, path in backbone.layers.items()
        if not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
    }
    return replace(
        backbone,
        layers=chosen,
        style_layers=tuple(name for name in backbone.style_layers if name in chosen),
        content_layers=tuple(name for name in backbone.content_layers if name in chosen),
    )


def trace_graphs(export: Export, log: Log) -> Graphs:
    """Trace every graph of a bundle: pairs of file name and graph."""
    graphs: Graphs = []
    for pooling in export.bundle.poolings:
        network = export.layer_network(pooling)
        log(f"Tracing {graph_name('forward', pooling)}")
        graphs.append((graph_name("forward", pooling), forward_graph(network)))
        rules = tuple(ReluRule) if pooling == "max" else (ReluRule.GRADIENT,)
        for rule in rules:
            log(f"Tracing {graph_name(rule.value, pooling)}")
            graphs.append((graph_name(rule.value, pooling), vjp_graph(network, rule)))
    return graphs


def _is_replaceable(folder: Path) -> bool:
    """True if a folder is a bundle or empty: --overwrite must not remove anything else."""
    return folder.is_dir() and ((folder / MANIFEST).is_file() or not any(folder.iterdir()))


def _put_in_place(draft: Path, folder: Path) -> None:
    """Move a finished bundle to its final folder in one step, replacing an older bundle."""
    if folder.exists():
        shutil.rmtree(folder)
    draft.replace(folder)
