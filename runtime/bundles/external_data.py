"""The weights of a graph: in its bundle's shared file, and in no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nstbatch.runtime.errors import BundleError

from .manifest import WEIGHTS

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir


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


def locate_weights(model: ir.Model, folder: Path) -> None:
    """Tell a checked graph where its weights are, so that their values can be read.

    Without a base folder onnx_ir reads a file that has several hard links as well, which it would
    refuse as a possible attack: uv installs packages with hard links, and ``cp -l`` makes them.
    :func:`check_external_data` and the bundle's hashes say that it is the right file.

    Args:
        model: A graph that was read from a bundle; its external tensors are replaced.
        folder: The bundle's folder.
    """
    import onnx_ir as ir

    for value in model.graph.initializers.values():
        tensor = value.const_value
        if isinstance(tensor, ir.ExternalTensor):
            value.const_value = ir.ExternalTensor(
                folder / tensor.location,
                tensor.offset,
                tensor.length,
                tensor.dtype,
                shape=tensor.shape,
                name=str(tensor.name),
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
