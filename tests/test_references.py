"""References in docstrings lead somewhere: ``:class:`...```, ``:func:`...``` and their like.

A reference names a module, or something in one, in one of three ways:

* by its full name, ``nstbatch.runtime.files`` or ``signal.set_wakeup_fd``;
* from its room, ``.stall`` or ``.stall.Stall``, where ``.Stall`` may stand for the latter;
* as the module itself would, ``Stall``: a name that it defines or imports, or a class's member.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import nstbatch

ROOT = Path(__file__).parents[1]
HOUSES = ("cli", "benchmarks", "exporter", "runtime")
REFERENCE = re.compile(r":(?:mod|class|func|meth|data|attr|exc):`~?([^`]*)`")


class Module:
    """The names that a module defines, with their members, and the sources of its imports."""

    def __init__(self, path: Path, root: Path) -> None:
        self.text = path.read_text(encoding="utf-8")
        parts = path.relative_to(root).with_suffix("").parts
        self.name = ".".join(["nstbatch", *parts]).removesuffix(".__init__")
        self.room = ".".join(["nstbatch", *parts[:-1]])
        tree = ast.parse(self.text)
        self.defined = {name: set[str]() for name in _assigned(tree)}
        self.imported: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                self.defined[node.name] = set(_members(node))
            elif isinstance(node, ast.FunctionDef):
                self.defined.setdefault(node.name, set())
            elif isinstance(node, ast.ImportFrom):
                source = f"{self.room}.{node.module}" if node.level else node.module or ""
                self.imported |= {alias.name: source for alias in node.names}

    def has(self, target: str) -> bool:
        """Return True for a name that is defined here, and for a member of one."""
        name, _, member = target.partition(".")
        return name in self.defined and (not member or member in self.defined[name])

    def has_full(self, target: str) -> bool:
        """Return True for the module's own full name, and for that of something in it."""
        inside = target.startswith(f"{self.name}.") and target.removeprefix(f"{self.name}.")
        return target == self.name or bool(inside and self.has(inside))


def _members(node: ast.ClassDef) -> Iterator[str]:
    yield from _assigned(node)
    for each in ast.walk(node):
        if isinstance(each, ast.FunctionDef):
            yield each.name
        elif isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store):
            yield each.attr  # self.name = ...


def _assigned(body: ast.Module | ast.ClassDef) -> Iterator[str]:
    for node in body.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        yield from (each.id for each in targets if isinstance(each, ast.Name))


def leads_somewhere(target: str, module: Module, known: dict[str, Module]) -> bool:
    if target.startswith("nstbatch."):
        return any(each.has_full(target) for each in known.values())
    if target.startswith("."):
        same_room = [each for each in known.values() if each.room == module.room]
        full = module.room + target
        return leads_somewhere(full, module, known) or any(e.has(target[1:]) for e in same_room)
    if module.has(target) or any(target in members for members in module.defined.values()):
        return True
    name, _, member = target.partition(".")
    source = module.imported.get(name)
    if source is not None:
        return known[source].has(target) if source in known else not member
    try:
        return hasattr(import_module(name), member)
    except ImportError:
        return False


def astray(root: Path) -> list[str]:
    """The references in the four houses that lead nowhere, each with its place."""
    paths = [path for house in HOUSES for path in sorted((root / house).rglob("*.py"))]
    known = {module.name: module for module in (Module(path, root) for path in paths)}
    return [
        f"{module.name}:{module.text[: match.start()].count(chr(10)) + 1} refers to {match[1]}"
        for module in known.values()
        for match in REFERENCE.finditer(module.text)
        if not leads_somewhere(match[1], module, known)
    ]


def test_references_lead_somewhere() -> None:
    assert astray(ROOT) == []


@pytest.mark.parametrize("target", ["nstbatch.cli.a.X", ".a.X", ".X.z", "X", "b.f", "g.x"])
def test_a_reference_that_leads_nowhere_is_found(target: str, tmp_path: Path) -> None:
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli/a.py").write_text("class Y:\n    z: int\n\n\ndef f(): ...\n")
    right = ["nstbatch.cli.a", ".a.Y.z", ".Y", ".f", "f", "Y.z", "signal.signal"]
    text = "".join(f"# :func:`{each}`\n" for each in [*right, target])
    (tmp_path / "cli/b.py").write_text(f"from .a import Y, f\n{text}")
    assert astray(tmp_path) == [f"nstbatch.cli.b:{len(right) + 2} refers to {target}"]


@pytest.mark.parametrize("name", nstbatch.__all__)
def test_public_names_lead_somewhere(name: str) -> None:
    assert getattr(nstbatch, name) is not None
