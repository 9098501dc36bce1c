"""The graphs of views alone, for steps whose network sees pictures tile by tile.

A view maps a whole picture, so it stays outside the tiles: one graph maps the picture, another
takes the gradient back. :func:`.link.link` puts the same views in front of the network itself.

===================== ============ ================================================================
value                 shape        meaning
===================== ============ ================================================================
image                 (N, 3, H, W) the pictures
view/<view>/<input>   by the view  its parameters, such as the shift of a jitter
seen                  (K, 3, h, w) output of the first graph: what the network gets
cotangent/seen        (K, 3, h, w) input of the second graph: the gradient in ``seen``
gradient              (N, 3, H, W) output of the second graph
slopes                (K, 1, h, w) of a watched view, see :mod:`.link`
===================== ============ ================================================================
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from nstbatch.runtime.names import COTANGENT, GRADIENT, IMAGE, SEEN
from nstbatch.runtime.objectives.views import View

from .link import Editor, empty_editor


def link_see(views: Sequence[View]) -> onnx.ModelProto:
    """Views -> the graph that maps whole pictures to what the network sees."""
    editor = _of_images()
    editor.add_views(views)
    return editor.finish({SEEN: editor.values[IMAGE]})


def link_pull_back(views: Sequence[View]) -> onnx.ModelProto:
    """Views -> the graph that takes the gradient in what the network sees back to the pictures."""
    editor = _of_images()
    steps = editor.add_views(views)
    gradient, slopes = editor.pull_back(editor.add_input(COTANGENT + SEEN), steps)
    return editor.finish({GRADIENT: gradient, **slopes})


def _of_images() -> Editor:
    editor = empty_editor()
    editor.values[IMAGE] = editor.add_input(IMAGE)
    return editor
