"""Batch neural style transfer and network visualisation through ONNX graphs.

For example::

    import nstbatch

    transfer = nstbatch.StyleTransfer("vgg16", device="auto")
    result = transfer("photo.jpg", "monet.jpg", progress=print)
    result.image  # (H, W, 3) float32, RGB in [0, 1]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from nstbatch.runtime.telemetry import switch_off

if TYPE_CHECKING:
    from nstbatch.runtime.bundles.bundle import Bundle
    from nstbatch.runtime.deconvnet.deconvnet import Deconvnet
    from nstbatch.runtime.deconvnet.deconvnet_options import DeconvnetOptions
    from nstbatch.runtime.descent.progress import Progress
    from nstbatch.runtime.errors import NstbatchError
    from nstbatch.runtime.filling.filling import Filled, Filling
    from nstbatch.runtime.filling.filling_options import FillingOptions
    from nstbatch.runtime.formats.metadata import Metadata, read_metadata, read_recipe
    from nstbatch.runtime.pictures.images import Picture, read, write
    from nstbatch.runtime.style.nearest_neighbor_options import NearestNeighborOptions
    from nstbatch.runtime.style.paintings import Style
    from nstbatch.runtime.style.regions import Masks
    from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
    from nstbatch.runtime.systems.class_picture import ClassPicture, ClassPictureResult
    from nstbatch.runtime.systems.deepdream import DeepDream, DreamResult
    from nstbatch.runtime.systems.dream_options import (
        ClassPictureOptions,
        DreamOptions,
        ZoomOptions,
    )
    from nstbatch.runtime.systems.nearest_neighbor_style import NearestNeighborStyle
    from nstbatch.runtime.systems.reconstruction import (
        ReconstructedLayer,
        Reconstruction,
        ReconstructionResult,
    )
    from nstbatch.runtime.systems.reconstruction_options import ReconstructionOptions
    from nstbatch.runtime.systems.style_transfer import StyleTransfer
    from nstbatch.runtime.systems.system import Result
    from nstbatch.runtime.systems.texture import Texture
    from nstbatch.runtime.systems.texture_options import TextureOptions
    from nstbatch.runtime.systems.zoom import ZoomResult, dream_frames

    __version__: str
    """The version that is installed."""

# Before ONNX Runtime is imported: every way into this package passes here.
switch_off()

__all__ = [
    "Bundle",
    "ClassPicture",
    "ClassPictureOptions",
    "ClassPictureResult",
    "Deconvnet",
    "DeconvnetOptions",
    "DeepDream",
    "DreamOptions",
    "DreamResult",
    "Filled",
    "Filling",
    "FillingOptions",
    "Masks",
    "Metadata",
    "NearestNeighborOptions",
    "NearestNeighborStyle",
    "NstbatchError",
    "Picture",
    "Progress",
    "ReconstructedLayer",
    "Reconstruction",
    "ReconstructionOptions",
    "ReconstructionResult",
    "Result",
    "Style",
    "StyleTransfer",
    "StyleTransferOptions",
    "Texture",
    "TextureOptions",
    "ZoomOptions",
    "ZoomResult",
    "__version__",
    "dream_frames",
    "read",
    "read_metadata",
    "read_recipe",
    "write",
]

# The module of each public name. It is imported when the name is first used, so that the command
# line starts without numpy and ONNX Runtime.
_HOMES = {
    "Bundle": "bundles.bundle",
    "Deconvnet": "deconvnet.deconvnet",
    "DeconvnetOptions": "deconvnet.deconvnet_options",
    "ClassPicture": "systems.class_picture",
    "ClassPictureOptions": "systems.dream_options",
    "ClassPictureResult": "systems.class_picture",
    "DeepDream": "systems.deepdream",
    "DreamOptions": "systems.dream_options",
    "DreamResult": "systems.deepdream",
    "Filled": "filling.filling",
    "Filling": "filling.filling",
    "FillingOptions": "filling.filling_options",
    "Result": "systems.system",
    "Metadata": "formats.metadata",
    "NearestNeighborOptions": "style.nearest_neighbor_options",
    "NearestNeighborStyle": "systems.nearest_neighbor_style",
    "NstbatchError": "errors",
    "Picture": "pictures.images",
    "Progress": "descent.progress",
    "ReconstructedLayer": "systems.reconstruction",
    "Reconstruction": "systems.reconstruction",
    "ReconstructionOptions": "systems.reconstruction_options",
    "ReconstructionResult": "systems.reconstruction",
    "Masks": "style.regions",
    "Style": "style.paintings",
    "StyleTransfer": "systems.style_transfer",
    "StyleTransferOptions": "style.style_transfer_options",
    "Texture": "systems.texture",
    "TextureOptions": "systems.texture_options",
    "ZoomOptions": "systems.dream_options",
    "ZoomResult": "systems.zoom",
    "dream_frames": "systems.zoom",
    "read": "pictures.images",
    "read_metadata": "formats.metadata",
    "read_recipe": "formats.metadata",
    "write": "pictures.images",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # its own imports take a tenth of `nstbatch --help`

        return version("nstbatch")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"nstbatch.runtime.{_HOMES[name]}"), name)
