"""Checks that a graph reads its weights from its bundle's shared file and from no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nstbatch.runtime.errors import BundleError

from .manifest import WEIGHTS

if TYPE_CHECKING:
    import onnx


def check_external_data(model: onnx.ModelProto, weights: Path) -> None:
    """Refuse a graph that would read anything but the bundle's weights.

    In ONNX the graph names the file of each tensor relative to itself, and ``../../secret`` is a
    valid name.

    Raises:
        BundleError: A tensor is in another file, or beyond the end of ``weights``.
    """
    size = weights.stat().st_size
    for tensor in _external_tensors(model):
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location")
        if location != WEIGHTS:
            raise BundleError(
                f"The graph reads {tensor.name!r} from {location!r}; "
                f"weights may come from {WEIGHTS!r} of the same bundle only."
            )
        try:
            offset, length = int(entries["offset"]), int(entries["length"])
        except (KeyError, ValueError) as error:
            raise BundleError(
                f"The graph gives no valid offset and length for {tensor.name!r} in {WEIGHTS}."
            ) from error
        if offset < 0 or length < 0 or offset + length > size:
            raise BundleError(
                f"The graph reads {tensor.name!r} from bytes {offset} to {offset + length} of "
                f"{WEIGHTS}, which has {size} bytes."
            )


def _external_tensors(message: Any) -> Iterator[onnx.TensorProto]:
    """Yield the external tensors of a protobuf message, including its subgraphs and functions."""
    if message.DESCRIPTOR.name == "TensorProto":
        if message.external_data or message.data_location == message.EXTERNAL:
            yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for child in [value] if hasattr(value, "ListFields") else value:
                yield from _external_tensors(child)
