"""A formula by its name: where it is written down, without reading it.

Formulas are onnxscript functions, and onnxscript takes half a second to import. What is made of
them lies in the cache after the first time, so terms, views and optimisers only name theirs.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Formula:
    """An onnxscript function of a module, or a function that returns one.

    Attributes:
        module: Its full name, such as "nstbatch.runtime.objectives.term_formulas".
        name: What it is called there.
    """

    module: str
    name: str

    def load(self) -> Any:
        """The function itself; imports its module."""
        return getattr(importlib.import_module(self.module), self.name)
