"""The rules of the house: which way imports run, and what each room may know.

docs/architecture.md describes them. Imports count wherever they stand: at the top of a file, within
a function, and for type checkers alone.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOUSES = ("cli", "benchmarks", "exporter", "runtime")

# Rooms from the top down. A room imports the rooms below it, and none beside it on its line. What
# lies at the root of a house is called by its name there: "cli.main"; "cli" stands for the rest.
LAYERS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "cli": (
        ("cli.worker",),
        ("cli.main",),
        ("cli.verbs",),
        ("cli.service",),
        ("cli.library",),
        ("cli.deconv", "cli.console", "cli.report"),
        ("cli.workers", "cli.watching"),
        ("cli.batch",),
        ("cli.output", "cli.options"),
        ("cli.parsing",),
        ("cli.jobs",),
        ("cli",),
    ),
    "benchmarks": (
        ("benchmarks.gpu_checks",),
        ("benchmarks.gpu", "benchmarks.styles"),
        ("benchmarks.contest",),
        ("benchmarks.peers", "benchmarks.reports"),
        ("benchmarks.tasks",),
        ("benchmarks",),
    ),
    "exporter": (("exporter.checks",), ("exporter",), ("exporter.networks",)),
    "runtime": (
        ("runtime.systems", "runtime.deconvnet", "runtime.filling"),
        ("runtime.style",),
        ("runtime.engine",),
        ("runtime.needs",),
        ("runtime.cache", "runtime.descent", "runtime.tiles"),
        ("runtime.gpu_graphs",),
        ("runtime.graphs",),
        ("runtime.objectives",),
        ("runtime.formulas",),
        ("runtime.bundles", "runtime.devices", "runtime.pictures"),
        ("runtime.formats",),
        ("runtime.storage",),
        ("runtime",),
    ),
}


@dataclass(frozen=True)
class Import:
    """One imported module, and where the statement stands."""

    source: str
    """The importing module, such as ``runtime.engine.session``."""
    target: str
    """The imported module of this project, or an outside package."""
    line: int
    relative: bool
    at_top: bool
    """True for an import that runs when the module is imported."""


def modules(root: Path) -> dict[str, Path]:
    """Every module of the four houses, by its name below ``nstbatch``."""
    found = {}
    for house in HOUSES:
        for path in sorted((root / house).rglob("*.py")):
            name = ".".join(path.relative_to(root).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imports(root: Path) -> list[Import]:
    """Every import in the four houses, of this project and of others."""
    known = modules(root)
    return [found for name, path in known.items() for found in _imports_of(name, path, known)]


def _imports_of(name: str, path: Path, known: Mapping[str, Path]) -> Iterator[Import]:
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    top = set(_top_level(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                target = alias.name.removeprefix("nstbatch.")
                yield Import(name, target, node.lineno, False, node in top)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])]).removeprefix("nstbatch.")
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                target = whole if whole in known else base
                yield Import(name, target, node.lineno, node.level > 0, node in top)


def _top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that run on import: not in functions, and not for type checkers alone."""
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from (each for each in ast.walk(node) if isinstance(each, ast.stmt))


def room(module: str) -> str:
    """The room of a module; a file at the root of a house belongs to the house itself."""
    parts = module.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 else parts[0]


def place(module: str, layers: tuple[tuple[str, ...], ...]) -> int:
    """The line of a module's room, counted from the top."""
    for number, names in enumerate(layers):
        if module in names or room(module) in names:
            return number
    raise AssertionError(f"{module} is in no room that has a line")


# --- The rules --------------------------------------------------------------------------------


def against_the_direction(found: list[Import]) -> list[str]:
    """Imports that run up, or to a room on the same line."""
    wrong = []
    for each in found:
        house = each.source.split(".")[0]
        layers = LAYERS.get(house)
        if layers is None or each.target.split(".")[0] != house or each.target == house:
            continue
        here, there = place(each.source, layers), place(each.target, layers)
        same_room = room(each.source) == room(each.target)
        if there < here or (there == here and not same_room):
            wrong.append(f"{each.source}:{each.line} imports {each.target}")
    return wrong


def wrongly_spelled(found: list[Import], known: Mapping[str, Path]) -> list[str]:
    """Relative imports across rooms, and absolute ones within a room."""
    wrong = []
    for each in found:
        if each.target not in known:
            continue
        if (room(each.source) == room(each.target)) != each.relative:
            wrong.append(f"{each.source}:{each.line} imports {each.target}")
    return wrong


def circles(found: list[Import], known: Mapping[str, Path]) -> list[str]:
    """Modules that import each other, however far around."""
    edges: dict[str, set[str]] = {name: set() for name in known}
    for each in found:
        if each.target in known and each.target != each.source:
            edges[each.source].add(each.target)
    done: set[str] = set()
    wrong: list[str] = []

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            wrong.append(" -> ".join([*path[path.index(name) :], name]))
        elif name not in done:
            for target in sorted(edges[name]):
                visit(target, [*path, name])
            done.add(name)

    for name in known:
        visit(name, [])
    return wrong


# Packages and rooms that a room must not know, wherever the import stands.
WITHOUT = {
    "cli.jobs": {"typer", "cli.options"},
    "cli.output": {"typer", "cli.options"},
    "cli.batch": {"typer", "cli.options"},
    "runtime.descent": {"onnxruntime"},
    "runtime.graphs": {"onnxruntime"},
    "runtime.objectives": {"onnxruntime"},
}


def forbidden(found: list[Import]) -> list[str]:
    """Imports of packages and rooms that a room must not know."""
    return [
        f"{each.source}:{each.line} imports {each.target}"
        for each in found
        for unknown in WITHOUT.get(room(each.source), ())
        if f"{each.target}.".startswith(f"{unknown}.")
    ]


def heavy_options(found: list[Import]) -> list[str]:
    """Options that import numpy or ONNX Runtime, directly or through others, when imported."""
    at_top: dict[str, set[str]] = {}
    for each in found:
        if each.at_top:
            at_top.setdefault(each.source, set()).add(each.target)

    def reached(module: str, seen: set[str]) -> set[str]:
        for target in at_top.get(module, set()) - seen:
            seen.add(target)
            reached(target, seen)
        return seen

    options = [name for name in at_top if name.rpartition(".")[2].endswith("options")]
    options += [name for name in at_top if room(name) == "cli.options"]
    return [
        f"{name} reaches {heavy}"
        for name in options
        for heavy in sorted(reached(name, set()))
        if heavy.split(".")[0] in {"numpy", "onnxruntime", "onnx", "cv2", "torch"}
    ]


def early_onnxscript(found: list[Import], known: Mapping[str, Path]) -> list[str]:
    """Files without formulas that import onnxscript as soon as they are imported.

    It takes half a second to import, which a run of cached graphs need not spend.
    """
    return [
        f"{each.source}:{each.line}"
        for each in found
        if each.target.split(".")[0] == "onnxscript"
        and each.at_top
        and not each.source.endswith("notation")
        and not _has_formulas(known[each.source])
    ]


def _has_formulas(path: Path) -> bool:
    """True if a file defines an ONNX function, with onnxscript's decorator."""
    decorators = [
        ast.unparse(decorator)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
    ]
    return any(decorator.startswith("script(") for decorator in decorators)


# "No file over 350 lines, no function over 60 but the verbs' signatures": a page each.
LONGEST_FILE, LONGEST_FUNCTION, LONGEST_VERB = 350, 60, 160
MOST_AT_ROOT = {"runtime": 10, "cli": 6, "exporter": 10, "benchmarks": 8}


def too_large(root: Path) -> list[str]:
    """Files, functions and houses that nobody takes in at a glance."""
    wrong = []
    for name, path in modules(root).items():
        text = path.read_text(encoding="utf-8")
        is_verb = room(name) == "cli.verbs"
        if text.count("\n") > (LONGEST_VERB if name in VERBS else LONGEST_FILE):
            wrong.append(f"{name} has {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                first = node.body[0].lineno if is_verb else node.lineno
                lines = (node.end_lineno or first) - first + 1
                if lines > LONGEST_FUNCTION:
                    wrong.append(f"{name}.{node.name} has {lines} lines")
    for house, most in MOST_AT_ROOT.items():
        if len(list((root / house).glob("*.py"))) > most:
            wrong.append(f"{house} has more than {most} files at its root")
    return wrong


VERBS = {
    f"cli.verbs.{name}"
    for name in (
        *("stylize", "texture", "fill", "reconstruct", "dream", "deconv"),
        *("report", "recipe", "retry", "export", "models", "doctor", "bench"),
    )
}


RULES: Mapping[str, Callable[[Path], list[str]]] = {
    "imports run one way": lambda root: against_the_direction(imports(root)),
    "relative within, absolute across": lambda root: wrongly_spelled(imports(root), modules(root)),
    "no circles": lambda root: circles(imports(root), modules(root)),
    "rooms know no more than they may": lambda root: forbidden(imports(root)),
    "options are light": lambda root: heavy_options(imports(root)),
    "onnxscript where formulas are": lambda root: early_onnxscript(imports(root), modules(root)),
    "files and functions fit a page": too_large,
}

# One violation of each rule, as the files of a small house: {path: source}.
VIOLATIONS: list[tuple[str, dict[str, str]]] = [
    (
        "imports run one way",
        {"runtime/engine/a.py": "from nstbatch.runtime.systems import system"},
    ),
    (
        "imports run one way",
        {"runtime/graphs/a.py": "def f():\n    from nstbatch.runtime.engine.b import c"},
    ),
    (
        "imports run one way",
        {
            "cli/output/a.py": "from typing import TYPE_CHECKING\n\n"
            "if TYPE_CHECKING:\n    from nstbatch.cli.verbs.b import c"
        },
    ),
    ("imports run one way", {"runtime/bundles/a.py": "import nstbatch.runtime.pictures.b"}),
    (
        "relative within, absolute across",
        {"cli/jobs/a.py": "x = 1", "cli/jobs/b.py": "from nstbatch.cli.jobs.a import x"},
    ),
    (
        "relative within, absolute across",
        {"cli/text.py": "x = 1", "cli/jobs/b.py": "from ..text import x"},
    ),
    (
        "no circles",
        {
            "exporter/a.py": "from .b import x",
            "exporter/b.py": "def f():\n    from .c import x",
            "exporter/c.py": "from .a import x",
        },
    ),
    ("rooms know no more than they may", {"cli/jobs/a.py": "def f():\n    import typer"}),
    ("rooms know no more than they may", {"runtime/descent/a.py": "import onnxruntime as ort"}),
    (
        "rooms know no more than they may",
        {"cli/batch/a.py": "from nstbatch.cli.options.b import c", "cli/options/b.py": "c = 1"},
    ),
    ("options are light", {"runtime/style/a_options.py": "import numpy as np"}),
    (
        "options are light",
        {
            "cli/options/a.py": "from nstbatch.runtime.arrays import Array",
            "runtime/arrays.py": "import numpy as np",
        },
    ),
    ("onnxscript where formulas are", {"runtime/graphs/a.py": "from onnxscript import optimizer"}),
    ("files and functions fit a page", {"runtime/a.py": "x = 1\n" * 351}),
    ("files and functions fit a page", {"exporter/a.py": "def f():\n" + "    x = 1\n" * 60}),
    ("files and functions fit a page", {"cli/verbs/stylize.py": "x = 1\n" * 161}),
    ("files and functions fit a page", {f"cli/{name}.py": "" for name in "abcdefg"}),
]


@pytest.mark.parametrize("rule", RULES)
def test_the_house_keeps_the_rule(rule: str) -> None:
    assert RULES[rule](ROOT) == []


@pytest.mark.parametrize(("rule", "files"), VIOLATIONS)
def test_a_planted_violation_is_found(rule: str, files: dict[str, str], tmp_path: Path) -> None:
    for path, source in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(source, encoding="utf-8")
    assert RULES[rule](tmp_path) != []
    others = {name: check(tmp_path) for name, check in RULES.items() if name != rule}
    assert not any(others.values()), others
