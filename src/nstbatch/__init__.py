"""Batch neural style transfer and network visualisation through ONNX graphs.

For example::

    import nstbatch

    transfer = nstbatch.StyleTransfer("vgg16", device="auto")
    result = transfer("photo.jpg", "monet.jpg", progress=print)
    result.image  # (H, W, 3) float32, RGB in [0, 1]
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nstbatch.runtime.bundle import Bundle
    from nstbatch.runtime.errors import NstbatchError
    from nstbatch.runtime.images import Picture, read, write
    from nstbatch.runtime.metadata import Metadata, read_metadata, read_recipe
    from nstbatch.runtime.options import StyleTransferOptions
    from nstbatch.runtime.progress import Progress
    from nstbatch.runtime.style_transfer import StyleTransfer, StyleTransferResult

__version__ = version("nstbatch")

__all__ = [
    "Bundle",
    "Metadata",
    "NstbatchError",
    "Picture",
    "Progress",
    "StyleTransfer",
    "StyleTransferOptions",
    "StyleTransferResult",
    "__version__",
    "read",
    "read_metadata",
    "read_recipe",
    "write",
]

# Where each public name lives. It is imported when it is first asked for, so that the command line
# starts without numpy and ONNX Runtime.
_HOMES = {
    "Bundle": "bundle",
    "Metadata": "metadata",
    "NstbatchError": "errors",
    "Picture": "images",
    "Progress": "progress",
    "StyleTransfer": "style_transfer",
    "StyleTransferOptions": "options",
    "StyleTransferResult": "style_transfer",
    "read": "images",
    "read_metadata": "metadata",
    "read_recipe": "metadata",
    "write": "images",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"nstbatch.runtime.{_HOMES[name]}"), name)
