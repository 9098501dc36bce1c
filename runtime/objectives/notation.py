"""What formulas are written in: the operators and types that onnxscript reads.

Onnxscript reads the annotations and the operators of a formula for itself, in its own types; a type
checker finds no arithmetic in those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import onnxscript

if TYPE_CHECKING:
    Tensor: TypeAlias = Any
    Mask: TypeAlias = Any
else:
    Tensor = onnxscript.FLOAT[...]
    Mask = onnxscript.BOOL[...]
op: Any = onnxscript.opset20
