"""The graphs of a step that is computed tile by tile, see :mod:`nstbatch.runtime.formulas.tiles`.

A step takes two passes over the tiles. Between them a small graph turns the sums of all tiles into
the losses, and into the slopes that the second pass needs.

======================== =================== ===================================================
value                    shape               meaning
======================== =================== ===================================================
image                    (N, 3, h, w)        a tile of the pictures, with what its positions see
mask/<layer>             (1, 1, h_l, w_l)    1 where the tile counts, 0 beside it
mask/image               (1, 1, h, w)        likewise, for terms on the image
target/<term>            by the term         cut to the tile, if it has positions
guide/<term>             (N, 1, h_l, w_l)    of a guided term: what its activation is multiplied by
sums/<term>              by the term         output of the first pass, added up over the tiles
elements/<term>          (1,) or (2,)        C H W of the whole pictures' activations, or of pairs
weight/<term>            (N,)                the weight of the term for every picture
slope/<term>             by the term         what the derivative needs beside the tile
losses                   (N, T)              the weighted losses
gradient                 (N, 3, h, w)        output of the second pass, added up over the tiles
======================== =================== ===================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
import onnx_ir as ir

from nstbatch.runtime.formulas.formula import Formula
from nstbatch.runtime.names import (
    ELEMENTS,
    GRADIENT,
    LOSSES,
    SLOPE,
    SUMS,
    TARGET,
    WEIGHT,
)
from nstbatch.runtime.objectives.terms import Term
from nstbatch.runtime.objectives.tiled_losses import TiledLoss, layer_of, mask_of, tiled_loss

from .link import Editor, empty_editor


def link_sums(forward_graph: onnx.ModelProto, terms: Sequence[Term]) -> onnx.ModelProto:
    """Forward graph and terms -> the first pass: tile in, sums of every term out.

    Raises:
        KeyError: A term names a layer that is not an output of the graph.
        UsageError: A loss cannot be computed in tiles.
    """
    editor = Editor(forward_graph)
    masks = _masks(editor, terms)
    outputs = {}
    for term in terms:
        tiled = tiled_loss(term)
        activation, _ = editor.add_guide(term, editor.values[layer_of(term)])
        inputs = [activation, masks[mask_of(term)]]
        outputs[SUMS + term.name] = _call(editor, tiled.sums, term, inputs, tiled)
    return editor.finish(outputs)


def link_pulls(
    gradient_graph: onnx.ModelProto, terms: Sequence[Term], pictures: int = 1
) -> onnx.ModelProto:
    """Gradient graph and terms -> the second pass: tile and slopes in, gradient out.

    Args:
        gradient_graph: As the exporter writes it.
        terms: One or more, of different names.
        pictures: N.

    Raises:
        KeyError: A term names a layer that is not an output of the graph.
        UsageError: A loss cannot be computed in tiles.
    """
    editor = Editor(gradient_graph)
    masks = _masks(editor, terms)
    cotangents = dict[str | None, list[ir.Value]]()
    for term in terms:
        tiled = tiled_loss(term)
        activation, guide = editor.add_guide(term, editor.values[layer_of(term)])
        inputs = [activation, editor.add_input(SLOPE + term.name)]
        pull = _call(editor, tiled.pull, term, inputs, tiled, pictures=pictures)
        for factor in filter(None, (guide, masks[mask_of(term)])):
            pull = editor.add("Mul", pull, factor)
        cotangents.setdefault(term.layer, []).append(pull)
    return editor.finish({GRADIENT: editor.add_gradient(cotangents)})


def link_finish(terms: Sequence[Term]) -> onnx.ModelProto:
    """Terms -> the graph between the passes: sums in, losses and slopes out."""
    editor = empty_editor()
    losses, slopes = [], {}
    for term in terms:
        tiled = tiled_loss(term)
        names = [SUMS, WEIGHT, ELEMENTS]
        if term.has_target and not tiled.is_local:
            names.insert(1, TARGET)
        inputs = [editor.add_input(name + term.name) for name in names]
        loss, slopes[SLOPE + term.name] = editor.call(tiled.finish, *inputs)
        losses.append(editor.add("Unsqueeze", loss, editor.constant([1])))
    return editor.finish({LOSSES: editor.add("Concat", *losses, axis=1), **slopes})


def link_sum_targets(terms: Sequence[Term]) -> onnx.ModelProto:
    """Terms -> the graph from the sums of reference pictures, and elements, to the targets."""
    editor = empty_editor()
    targets = {}
    for term in terms:
        formula = tiled_loss(term).target
        assert formula is not None, term.name
        inputs = [editor.add_input(name + term.name) for name in (SUMS, ELEMENTS)]
        targets[TARGET + term.name] = editor.call(formula, *inputs)[0]
    return editor.finish(targets)


def _masks(editor: Editor, terms: Sequence[Term]) -> Mapping[str, ir.Value]:
    names = dict.fromkeys(mask_of(term) for term in terms)
    return {name: editor.add_input(name) for name in names}


def _call(
    editor: Editor,
    formula: Formula,
    term: Term,
    inputs: Sequence[ir.Value],
    tiled: TiledLoss,
    **known: Any,
) -> ir.Value:
    """Append a formula of a tile, with the target if it takes that, and its own attributes."""
    targets = [editor.add_input(TARGET + term.name)] if tiled.is_local else []
    declared = formula.load().function_ir.attributes
    constants = {**dict(term.attributes), **known}
    given = {name: value for name, value in constants.items() if name in declared}
    return editor.call(formula, *inputs, *targets, **given)[0]
