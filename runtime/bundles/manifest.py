"""The manifest of a bundle, ``bundle.json``: describes the backbone and its graphs.

A bundle may come from a stranger, so a manifest is read strictly: every field must be present, of
its type and in its range, and no other field is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, cast

from nstbatch.runtime.checks import POOLINGS, Pooling
from nstbatch.runtime.errors import BundleError

from .json_fields import Fields

FORMAT = 1
MANIFEST = "bundle.json"
WEIGHTS = "weights.safetensors"

GraphKind = Literal["forward", "gradient", "deconv", "guided"]
# Deconvnets follow the switches that max pooling recorded.
MAX_POOLING_ONLY: tuple[GraphKind, ...] = ("deconv", "guided")

# A model's name is also the name of its folder.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def graph_name(kind: GraphKind, pooling: Pooling) -> str:
    """The file name of a graph."""
    return f"{kind}.onnx" if kind in MAX_POOLING_ONLY else f"{kind}_{pooling}.onnx"


def file_names(poolings: Sequence[Pooling]) -> tuple[str, ...]:
    """Names of the files that a bundle with these poolings holds beside its manifest."""
    names = [graph_name(kind, p) for kind in ("forward", "gradient") for p in poolings]
    if "max" in poolings:
        names += [graph_name(kind, "max") for kind in MAX_POOLING_ONLY]
    return (*names, WEIGHTS)


@dataclass(frozen=True)
class Layer:
    """A named activation of a backbone."""

    name: str
    channels: int
    stride: int | None
    """Distance between neighbouring positions, in image pixels; None without positions."""
    receptive_field: int | None
    """Side of the square of pixels that one position sees; None for the whole image."""


@dataclass(frozen=True)
class Preprocessing:
    """A backbone's map of an image (N, 3, H, W) in [0, 1]: ``(image * scale - mean) / std``."""

    channels: Literal["RGB", "BGR"]
    scale: float
    """1, or 255 for networks that were trained on values from 0 to 255."""
    mean: tuple[float, float, float]
    """One value per channel, in the order of ``channels`` and in units of ``scale``."""
    std: tuple[float, float, float]

    @classmethod
    def parse(cls, data: object) -> Preprocessing:
        """Read the four fields from a mapping; a BundleError names the wrong one."""
        return cls._read(Fields(data, "the preprocessing", _names(cls)))

    @classmethod
    def _read(cls, data: Fields) -> Preprocessing:
        std = cast("tuple[float, float, float]", data.numbers("std", 3))
        if min(std) <= 0:
            raise data.wrong("std", "3 numbers above 0")
        scale = data.number("scale")
        if scale not in (1, 255):
            raise data.wrong("scale", "1 or 255")
        return cls(
            channels=cast("Literal['RGB', 'BGR']", data.choice("channels", ("RGB", "BGR"))),
            scale=scale,
            mean=cast("tuple[float, float, float]", data.numbers("mean", 3)),
            std=std,
        )


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The content of ``bundle.json``."""

    name: str
    architecture: str
    """The exported backbone, or the ``module:factory`` that created it."""
    poolings: tuple[Pooling, ...]
    layers: tuple[Layer, ...]
    """The layers, in order from the image on."""
    preprocessing: Preprocessing
    """The preprocessing, for information: the graphs already contain it."""
    style_layers: tuple[str, ...]
    """The suggested style layers."""
    content_layers: tuple[str, ...]
    """The suggested content layers."""
    classes: tuple[str, ...]
    """Class names, one for each channel of the last layer; empty without a classifier."""
    opset: int
    torch_version: str
    exporter_version: str
    sha256: Mapping[str, str]
    """SHA-256 of every file except the manifest, in hexadecimal."""
    weights_source: str
    weights_licence: str

    @property
    def unseen(self) -> int:
        """Pixels at the end of a side that a first layer with a stride may not see, at most."""
        return (self.layers[0].stride or 1) - 1

    @classmethod
    def parse(cls, data: object) -> Manifest:
        """Read a manifest from JSON; a BundleError names the wrong field."""
        # The format is checked first, since a manifest of another format may have other fields.
        if isinstance(data, Mapping) and data.get("format") != FORMAT:
            raise BundleError(f"its format is {data.get('format')!r}; this version reads {FORMAT}.")
        manifest = Fields(data, MANIFEST, ("format", *_names(Manifest)))
        poolings = _poolings(manifest)
        layers = _layers(manifest)
        return Manifest(
            name=_model_name(manifest),
            architecture=manifest.text("architecture"),
            poolings=poolings,
            layers=layers,
            preprocessing=Preprocessing._read(
                manifest.child("preprocessing", _names(Preprocessing))
            ),
            style_layers=_layer_names(manifest, "style_layers", layers),
            content_layers=_layer_names(manifest, "content_layers", layers),
            classes=manifest.texts("classes"),
            opset=manifest.positive_integer("opset"),
            torch_version=manifest.text("torch_version"),
            exporter_version=manifest.text("exporter_version"),
            sha256=_digests(manifest, poolings),
            weights_source=manifest.text("weights_source"),
            weights_licence=manifest.text("weights_licence"),
        )

    def to_json(self) -> dict[str, object]:
        """The manifest as JSON; `parse` reads it back as an equal manifest."""
        return {"format": FORMAT} | {n: _as_json(getattr(self, n)) for n in _names(Manifest)}


def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _as_json(value: object) -> object:
    if isinstance(value, Layer | Preprocessing):
        return {name: _as_json(getattr(value, name)) for name in _names(type(value))}
    if isinstance(value, tuple):
        return [_as_json(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def _model_name(manifest: Fields) -> str:
    name = manifest.text("name")
    if not NAME.fullmatch(name):
        raise manifest.wrong("name", "letters, digits, '_', '-' and '.'")
    return name


def _poolings(manifest: Fields) -> tuple[Pooling, ...]:
    poolings = manifest.texts("poolings")
    if not poolings or len(set(poolings)) != len(poolings) or not set(poolings) <= set(POOLINGS):
        raise manifest.wrong("poolings", "one or both of 'avg' and 'max'")
    return cast("tuple[Pooling, ...]", poolings)


def _layers(manifest: Fields) -> tuple[Layer, ...]:
    layers = tuple(
        Layer(
            name=layer.text("name"),
            channels=layer.positive_integer("channels"),
            stride=layer.positive_integer_or_none("stride"),
            receptive_field=layer.positive_integer_or_none("receptive_field"),
        )
        for layer in manifest.children("layers", _names(Layer))
    )
    if not layers or len({layer.name for layer in layers}) != len(layers):
        raise manifest.wrong("layers", "one or more layers of different names")
    return layers


def _layer_names(manifest: Fields, field: str, layers: Sequence[Layer]) -> tuple[str, ...]:
    names = manifest.texts(field)
    if not set(names) <= {layer.name for layer in layers}:
        raise manifest.wrong(field, "names from 'layers'")
    return names


def _digests(manifest: Fields, poolings: Sequence[Pooling]) -> dict[str, str]:
    """Read the hashes; the names must be exactly the bundle's files, so none leads elsewhere."""
    digests = manifest.table("sha256")
    expected = file_names(poolings)
    if set(digests) != set(expected):
        raise manifest.wrong("sha256", f"a hash for each of {', '.join(expected)}")
    if not all(_SHA256.fullmatch(digest) for digest in digests.values()):
        raise manifest.wrong("sha256", "64 hexadecimal digits for every file")
    return digests
