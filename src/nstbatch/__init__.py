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

if TYPE_CHECKING:
    from nstbatch.runtime.bundle import Bundle
    from nstbatch.runtime.class_picture import ClassPicture, ClassPictureResult
    from nstbatch.runtime.deconvnet import Deconvnet
    from nstbatch.runtime.deconvnet_options import DeconvnetOptions
    from nstbatch.runtime.deepdream import DeepDream
    from nstbatch.runtime.dream_options import ClassPictureOptions, DreamOptions, ZoomOptions
    from nstbatch.runtime.errors import NstbatchError
    from nstbatch.runtime.images import Picture, read, write
    from nstbatch.runtime.metadata import Metadata, read_metadata, read_recipe
    from nstbatch.runtime.options import StyleTransferOptions
    from nstbatch.runtime.progress import Progress
    from nstbatch.runtime.reconstruction import (
        ReconstructedLayer,
        Reconstruction,
        ReconstructionResult,
    )
    from nstbatch.runtime.reconstruction_options import ReconstructionOptions
    from nstbatch.runtime.style_transfer import StyleTransfer
    from nstbatch.runtime.system import Result
    from nstbatch.runtime.texture import Texture
    from nstbatch.runtime.texture_options import TextureOptions
    from nstbatch.runtime.zoom import ZoomResult, dream_frames

    __version__: str

__all__ = [
    "Bundle",
    "ClassPicture",
    "ClassPictureOptions",
    "ClassPictureResult",
    "Deconvnet",
    "DeconvnetOptions",
    "DeepDream",
    "DreamOptions",
    "Metadata",
    "NstbatchError",
    "Picture",
    "Progress",
    "ReconstructedLayer",
    "Reconstruction",
    "ReconstructionOptions",
    "ReconstructionResult",
    "Result",
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

# Where each public name lives. It is imported when it is first asked for, so that the command line
# starts without numpy and ONNX Runtime.
_HOMES = {
    "Bundle": "bundle",
    "Deconvnet": "deconvnet",
    "DeconvnetOptions": "deconvnet_options",
    "ClassPicture": "class_picture",
    "ClassPictureOptions": "dream_options",
    "ClassPictureResult": "class_picture",
    "DeepDream": "deepdream",
    "DreamOptions": "dream_options",
    "Result": "system",
    "Metadata": "metadata",
    "NstbatchError": "errors",
    "Picture": "images",
    "Progress": "progress",
    "ReconstructedLayer": "reconstruction",
    "Reconstruction": "reconstruction",
    "ReconstructionOptions": "reconstruction_options",
    "ReconstructionResult": "reconstruction",
    "StyleTransfer": "style_transfer",
    "StyleTransferOptions": "options",
    "Texture": "texture",
    "TextureOptions": "texture_options",
    "ZoomOptions": "dream_options",
    "ZoomResult": "zoom",
    "dream_frames": "zoom",
    "read": "images",
    "read_metadata": "metadata",
    "read_recipe": "metadata",
    "write": "images",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # its own imports take a tenth of `nstbatch --help`

        return version("nstbatch")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"nstbatch.runtime.{_HOMES[name]}"), name)
