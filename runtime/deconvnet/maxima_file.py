"""``deconv.json``: the maxima that were found, for other programs and for the next run.

An object with the ``format``, 1, and ``layers``, by name:

=============== ================================================================================
``fingerprint`` of images, network and settings; runs with the same one find the same maxima
``model``       the network; with the settings ``rule`` and ``size``
``images``      the paths of the images that could be read
``unreadable``  the others: ``input`` and ``reason``
``filters``     each ``filter``, the number of images in which it ``fires``, if it is ``dead``, and
                its ``maxima``: ``image``, ``value``, ``row`` and ``column`` in the layer, and the
                ``box`` of the prepared image that it sees: top, left, bottom, right
``overviews``   by the name of each finished overview, its filters
=============== ================================================================================
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nstbatch.runtime.bundles.manifest import Manifest
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.files import write_atomically

from .deconvnet import Deconvnet, LayerMaxima
from .maxima import FilterMaxima, Maximum

FORMAT = 1


def fingerprint(
    images: Iterable[Path], bundles: Iterable[Manifest], settings: Sequence[object]
) -> str:
    """Return the SHA-256, in hexadecimal, of everything that a result depends on.

    Args:
        images: Paths, in order; a file that changes counts as another one.
        bundles: The networks.
        settings: All other settings.
    """
    digest = hashlib.sha256(repr((FORMAT, *settings)).encode())
    for bundle in bundles:
        digest.update(repr(sorted(bundle.sha256.items())).encode())
    for path in images:
        try:
            status = path.stat()
            state = (status.st_size, status.st_mtime_ns)
        except OSError:
            state = (-1, -1)
        digest.update(repr((os.path.realpath(path), state)).encode())
    return digest.hexdigest()


class MaximaFile:
    """The ``deconv.json`` of a folder."""

    def __init__(self, path: Path) -> None:
        """Read the file, if it exists.

        Raises:
            UsageError: It exists, and has another format.
        """
        self._path = path
        self._layers: dict[str, dict[str, Any]] = {}
        if path.exists():
            self._layers = _read(path)

    def is_of(self, layer: str, wanted: str) -> bool | None:
        """Tell whether a layer's maxima have this fingerprint; None if there are no maxima."""
        entry = self._layers.get(layer)
        return None if entry is None else entry.get("fingerprint") == wanted

    def load(self, layer: str) -> LayerMaxima:
        """Return the maxima of a layer.

        Raises:
            UsageError: They are damaged.
        """
        try:
            return _parsed(layer, self._layers[layer])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _damaged(self._path) from error

    def store(self, found: LayerMaxima, deconvnet: Deconvnet, of: str) -> None:
        """Write the maxima of a layer, replacing earlier ones."""
        record = {
            "fingerprint": of,
            "model": deconvnet.engine.bundle.name,
            "rule": deconvnet.options.rule,
            "size": deconvnet.options.size,
            "images": [os.fspath(path) for path in found.images],
            "unreadable": [
                {"input": os.fspath(path), "reason": reason}
                for path, reason in found.unreadable.items()
            ],
            "filters": [_filter_record(found, f, deconvnet) for f in found.filters],
            "overviews": {},
        }
        self._write(found.layer, record)

    def overview(self, layer: str, name: str) -> Sequence[int] | None:
        """Return the filters on an overview; None if it is not finished."""
        filters: Sequence[int] | None = self._layers[layer]["overviews"].get(name)
        return filters

    def store_overview(self, layer: str, name: str, filters: Sequence[int]) -> None:
        """Record that an overview is finished."""
        record = self._layers[layer]
        overviews = {**record["overviews"], name: list(filters)}
        self._write(layer, {**record, "overviews": overviews})

    def _write(self, layer: str, record: dict[str, Any]) -> None:
        """Write a layer to the file, and keep layers that another process has added meanwhile."""
        if self._path.exists():
            self._layers = {**_read(self._path), **self._layers}
        self._layers[layer] = record
        text = json.dumps({"format": FORMAT, "layers": self._layers}, allow_nan=False)
        write_atomically(self._path, f"{text}\n".encode())


def maximum_record(found: LayerMaxima, maximum: Maximum, deconvnet: Deconvnet) -> dict[str, Any]:
    """Return a maximum as JSON."""
    return {
        "image": os.fspath(found.images[maximum.image]),
        "value": maximum.value,
        "row": maximum.row,
        "column": maximum.column,
        "box": list(deconvnet.box(found.layer, maximum)),
    }


def _filter_record(
    found: LayerMaxima, of_filter: FilterMaxima, deconvnet: Deconvnet
) -> dict[str, Any]:
    return {
        "filter": of_filter.filter,
        "fires": of_filter.fires,
        "dead": of_filter.is_dead,
        "maxima": [maximum_record(found, maximum, deconvnet) for maximum in of_filter.maxima],
    }


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        layers = data["layers"]
        if data["format"] != FORMAT or not all(isinstance(e, dict) for e in layers.values()):
            raise _damaged(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path) from error
    return dict(layers)


def _damaged(path: Path) -> UsageError:
    return UsageError(
        f"{path} is not what this version of nstbatch writes. "
        "Remove it, or choose another output folder with --out."
    )


def _parsed(layer: str, entry: Mapping[str, Any]) -> LayerMaxima:
    images = tuple(map(Path, entry["images"]))
    index = {path: number for number, path in enumerate(images)}
    numbers = [record["filter"] for record in entry["filters"]]
    maxima = [maximum for record in entry["filters"] for maximum in record["maxima"]]
    places = [maximum[axis] for maximum in maxima for axis in ("row", "column")]
    if not numbers or numbers != list(range(len(numbers))):
        raise ValueError("the filters are not numbered from 0 on")
    if not all(0 <= place < entry["size"] for place in places):
        raise ValueError("a position lies outside the images")
    if not all(isinstance(filters, list) for filters in entry["overviews"].values()):
        raise TypeError("an overview is no list of filters")
    return LayerMaxima(
        layer,
        tuple(
            FilterMaxima(
                int(record["filter"]),
                int(record["fires"]),
                tuple(
                    Maximum(
                        int(record["filter"]),
                        index[Path(maximum["image"])],
                        int(maximum["row"]),
                        int(maximum["column"]),
                        float(maximum["value"]),
                    )
                    for maximum in record["maxima"]
                ),
            )
            for record in entry["filters"]
        ),
        images,
        {Path(record["input"]): str(record["reason"]) for record in entry["unreadable"]},
    )
