"""The operators and types that formulas are written with.

Onnxscript interprets the annotations and operators of a formula itself, with types of its own. A
type checker finds no arithmetic in those, so for it they are ``Any``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import onnxscript

if TYPE_CHECKING:
    Tensor: TypeAlias = Any
    Mask: TypeAlias = Any
    Whole: TypeAlias = Any
else:
    Tensor = onnxscript.FLOAT[...]
    Mask = onnxscript.BOOL[...]
    Whole = onnxscript.INT64[...]
op: Any = onnxscript.opset20
