"""The export: a network by name, or anybody's own, becomes a bundle."""

from __future__ import annotations

import fnmatch
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

import onnx_ir as ir
import torch
from torch import nn

from nstbatch.exporter.networks import backbones
from nstbatch.exporter.networks.backbones import Backbone
from nstbatch.exporter.networks.custom import custom
from nstbatch.exporter.networks.layers import measure
from nstbatch.exporter.networks.pooling import use_pooling
from nstbatch.exporter.networks.weights import load, to_storage
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
    """A bundle and the network that it was made of, with the weights as the bundle stores them."""

    bundle: Bundle
    network: nn.Module
    """Takes what ``preprocessing`` gives; its pooling is as it was defined."""
    layers: Mapping[str, str]
    """Layer name -> dotted path of the submodule whose output it is."""
    preprocessing: Preprocessing

    def layer_network(self, pooling: Pooling) -> LayerNetwork:
        """Image -> layers, as the graphs of this pooling compute it."""
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
        source: A name in :data:`.backbones.NAMES`, ``package.module:factory`` or
            ``file.py:factory``.
        name: What the bundle is called; the source's own name by default.
        weights: A file of weights; the backbone's own by default.
        sha256: What that file must hash to.
        layers: Globs over the names of the layers; all by default.
        poolings: Which variants of the network to write.
        out: The bundle's folder; by default where :meth:`Bundle.load` finds it by its name.
        overwrite: Replace a bundle that is there already.
        trace: Gives the graphs of an export; :func:`trace_graphs` by default.
        log: Told what is being done, a line at a time.

    Raises:
        UsageError: The source cannot be had, or there is something in the folder already.
        UnknownNameError: No layer matches a glob.
        BundleError: The weights do not fit, or do not have the hash.
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
        draft = Path(temporary) / "bundle"  # the temporary folder itself is for nobody else to read
        draft.mkdir()
        bundle = Bundle(
            path=draft,
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
        export = Export(bundle, network, backbone.layers, provenance.preprocessing)
        store = WeightStore(draft, stored)
        for file, model in (trace or trace_graphs)(export, log):
            store.share(model)
            (draft / file).write_bytes(ir.to_proto(model).SerializeToString(deterministic=True))
        files = sorted(path.name for path in draft.iterdir())
        write_manifest(replace(bundle, sha256={file: sha256_of(draft / file) for file in files}))
        _put_in_place(draft, folder)
    return replace(export, bundle=Bundle.load(folder))


def find_backbone(source: str, patterns: Sequence[str] = ()) -> Backbone:
    """The source as a backbone, with the layers that match; see :func:`export_bundle`."""
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
    """Every graph of a bundle, by its file name, traced from the network."""
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
    """Whether a folder is a bundle or empty: --overwrite must not remove anything else."""
    return folder.is_dir() and ((folder / MANIFEST).is_file() or not any(folder.iterdir()))


def _put_in_place(draft: Path, folder: Path) -> None:
    """Move a finished bundle to where it belongs, whole, in place of an older one."""
    if folder.exists():
        shutil.rmtree(folder)
    draft.replace(folder)
