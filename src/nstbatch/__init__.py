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
    from nstbatch.cli.batch.batch import Summary
    from nstbatch.cli.jobs.painting import Outcome
    from nstbatch.cli.library.batch import Batch, PictureRun
    from nstbatch.runtime.bundles.bundle import Bundle
    from nstbatch.runtime.deconvnet.deconvnet import Deconvnet
    from nstbatch.runtime.deconvnet.deconvnet_options import DeconvnetOptions
    from nstbatch.runtime.descent.progress import Progress
    from nstbatch.runtime.errors import NstbatchError
    from nstbatch.runtime.filling.filling import Filled, Filling
    from nstbatch.runtime.filling.filling_options import FillingOptions
    from nstbatch.runtime.formats.metadata import Metadata, read_metadata, read_recipe
    from nstbatch.runtime.formats.picture_options import PictureOptions
    from nstbatch.runtime.pictures.images import Picture, read, write
    from nstbatch.runtime.style.nearest_neighbor_options import NearestNeighborOptions
    from nstbatch.runtime.style.paintings import Style
    from nstbatch.runtime.style.regions import Masks
    from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
    from nstbatch.runtime.systems.async_streams import run_async, stream_async
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
    from nstbatch.runtime.systems.streams import Made, stream
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
    "Batch",
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
    "Made",
    "Masks",
    "Metadata",
    "NearestNeighborOptions",
    "NearestNeighborStyle",
    "NstbatchError",
    "Outcome",
    "Picture",
    "PictureOptions",
    "PictureRun",
    "Progress",
    "ReconstructedLayer",
    "Reconstruction",
    "ReconstructionOptions",
    "ReconstructionResult",
    "Result",
    "Style",
    "StyleTransfer",
    "StyleTransferOptions",
    "Summary",
    "Texture",
    "TextureOptions",
    "ZoomOptions",
    "ZoomResult",
    "__version__",
    "dream_frames",
    "read",
    "read_metadata",
    "read_recipe",
    "run_async",
    "stream",
    "stream_async",
    "write",
]

# The module of each public name. It is imported when the name is first used, so that the command
# line starts without numpy and ONNX Runtime.
_HOMES = {
    "Batch": "cli.library.batch",
    "Outcome": "cli.jobs.painting",
    "PictureRun": "cli.library.batch",
    "PictureOptions": "runtime.formats.picture_options",
    "Summary": "cli.batch.batch",
    "Bundle": "runtime.bundles.bundle",
    "Deconvnet": "runtime.deconvnet.deconvnet",
    "DeconvnetOptions": "runtime.deconvnet.deconvnet_options",
    "ClassPicture": "runtime.systems.class_picture",
    "ClassPictureOptions": "runtime.systems.dream_options",
    "ClassPictureResult": "runtime.systems.class_picture",
    "DeepDream": "runtime.systems.deepdream",
    "DreamOptions": "runtime.systems.dream_options",
    "DreamResult": "runtime.systems.deepdream",
    "Filled": "runtime.filling.filling",
    "Filling": "runtime.filling.filling",
    "FillingOptions": "runtime.filling.filling_options",
    "Result": "runtime.systems.system",
    "Metadata": "runtime.formats.metadata",
    "NearestNeighborOptions": "runtime.style.nearest_neighbor_options",
    "NearestNeighborStyle": "runtime.systems.nearest_neighbor_style",
    "NstbatchError": "runtime.errors",
    "Picture": "runtime.pictures.images",
    "Progress": "runtime.descent.progress",
    "ReconstructedLayer": "runtime.systems.reconstruction",
    "Reconstruction": "runtime.systems.reconstruction",
    "ReconstructionOptions": "runtime.systems.reconstruction_options",
    "ReconstructionResult": "runtime.systems.reconstruction",
    "Made": "runtime.systems.streams",
    "Masks": "runtime.style.regions",
    "Style": "runtime.style.paintings",
    "StyleTransfer": "runtime.systems.style_transfer",
    "StyleTransferOptions": "runtime.style.style_transfer_options",
    "Texture": "runtime.systems.texture",
    "TextureOptions": "runtime.systems.texture_options",
    "ZoomOptions": "runtime.systems.dream_options",
    "ZoomResult": "runtime.systems.zoom",
    "dream_frames": "runtime.systems.zoom",
    "read": "runtime.pictures.images",
    "read_metadata": "runtime.formats.metadata",
    "read_recipe": "runtime.formats.metadata",
    "run_async": "runtime.systems.async_streams",
    "stream": "runtime.systems.streams",
    "stream_async": "runtime.systems.async_streams",
    "write": "runtime.pictures.images",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # its own imports take a tenth of `nstbatch --help`

        return version("nstbatch")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"nstbatch.{_HOMES[name]}"), name)
