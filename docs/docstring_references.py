"""Turns references in docstrings, such as ``:class:`.stall.Stall```, into Markdown for the site.

mkdocs.yml names this file as an extension of griffe, which reads the docstrings.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import partial
from typing import Any

import griffe

REFERENCE = re.compile(r":(?:mod|class|func|meth|data|attr|exc):`~?\.?([^`]+)`")
LITERAL = re.compile(r"``([^`]+)``")


class DocstringReferences(griffe.Extension):
    """Changes docstrings before they are parsed."""

    def on_object(self, *, obj: griffe.Object, **arguments: Any) -> None:
        """Rewrite the docstring of an object that was read."""
        if obj.docstring:
            public = {str(name) for name in obj.package.exports or ()}
            obj.docstring.value = markdown(obj.docstring.value, public)


def markdown(docstring: str, public: Collection[str]) -> str:
    """Return a docstring with links to public names, and with plain code for all other names."""
    return LITERAL.sub(r"`\1`", REFERENCE.sub(partial(_linked, public), docstring))


def _linked(public: Collection[str], reference: re.Match[str]) -> str:
    for name in reference[1].split("."):
        if name in public:
            return f"[`{name}`][nstbatch.{name}]"
    return f"`{reference[1]}`"
