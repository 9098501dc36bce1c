"""A reference to a formula, by module and name, which does not import the formula.

Formulas are onnxscript functions, and onnxscript takes half a second to import. The graphs built
from them are cached after the first run, so terms, views and optimisers only name their formulas.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Formula:
    """The place of an onnxscript function, or of a function that returns one.

    Attributes:
        module: Full name of its module, such as "nstbatch.runtime.formulas.terms".
        name: Its name in that module.
    """

    module: str
    name: str

    def load(self) -> Any:
        """Import the module and return the function."""
        return getattr(importlib.import_module(self.module), self.name)
