"""The documents are true: what they link to is there, and what they show can be run."""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from typer.main import get_command

import nstbatch
from nstbatch.cli.main import app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("**/*.md"), ROOT / "examples/ATTRIBUTION.md"])
FOLDERS = ("benchmarks", "cli", "exporter", "runtime", "tests")
SOURCES = sorted(path for folder in FOLDERS for path in ROOT.glob(f"{folder}/**/*.py"))

GENERATOR = runpy.run_path(str(DOCS / "cli_reference.py"))
VERBS: dict[str, Any] = GENERATOR["commands"](get_command(app))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, *languages: str) -> list[str]:
    """The code blocks of a page that are in one of the languages."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", path.read_text(encoding="utf-8"), re.M | re.S)
    return [code for language, code in found if language in languages]


# --- Links ------------------------------------------------------------------------------------


def prose(path: Path) -> str:
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(path: Path) -> set[str]:
    """What GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = unquote(target).partition("#")
        linked = page.parent / place if place else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("source", SOURCES, ids=name)
def test_documents_that_the_code_names_are_there(source: Path) -> None:
    for document in re.findall(r"docs/[\w/.-]+\.\w+", source.read_text(encoding="utf-8")):
        assert (ROOT / document).is_file(), document


# A changelog tells of files as they were.
LASTING = [page for page in PAGES if page.name != "CHANGELOG.md"]
# Files of lucid and of onnxscript.
OUTSIDE = {"optvis/render.py", "optvis/param/color.py", "onnxscript/rewriter/_pattern_ir.py"}


def source_files(page: Path, pattern: str) -> set[str]:
    """The source files that a page names, but for placeholders such as NAME.py and *_formula.py."""
    found = re.findall(pattern, page.read_text(encoding="utf-8"))
    return {path for path in found if not re.search(r"[A-Z*]", path)}


@pytest.mark.parametrize("page", LASTING, ids=name)
def test_source_files_that_the_page_names_are_there(page: Path) -> None:
    paths = source_files(page, rf"(?<![\w/.-])(?:{'|'.join(FOLDERS)})/[\w/*-]+\.py\b")
    assert [path for path in paths if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("page", LASTING, ids=name)
def test_source_files_with_shortened_paths_are_there(page: Path) -> None:
    """`descent/loop.py` is short for runtime/descent/loop.py."""
    paths = source_files(page, r"`([\w/*-]+\.py)`") - OUTSIDE
    folders = (*FOLDERS, "docs", "src")
    there = [f"/{path}" for folder in folders for path in ROOT.glob(f"{folder}/**/*.py")]
    assert [path for path in paths if not any(each.endswith(f"/{path}") for each in there)] == []


def test_decisions_are_numbered_without_gaps() -> None:
    decisions = sorted((DOCS / "decisions").glob("[!R]*"))
    assert [path.name[:5] for path in decisions] == [
        f"{number:04}-" for number in range(1, len(decisions) + 1)
    ]
    for path in decisions:
        assert path.read_text(encoding="utf-8").startswith(f"# {path.name[:4]}: ")


# --- The command line -------------------------------------------------------------------------


def test_the_reference_is_up_to_date() -> None:
    stale = f"docs/cli.md is stale: {GENERATOR['COMMAND']}"
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == GENERATOR["reference"](), stale


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_option_is_in_the_reference(verb: str) -> None:
    """Whatever the generator makes of them."""
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {verb}\n")[1].split("\n## ")[0]
    options = (option for parameter in VERBS[verb].params for option in parameter.opts)
    missing = [option for option in options if option[0] == "-" and f"`{option}" not in section]
    assert not missing


def commands(path: Path) -> Iterator[list[str]]:
    """The words behind ``nstbatch`` wherever a shell block of the page runs it."""
    for block in blocks(path, "bash", "console"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            for start, word in enumerate(words, start=1):
                if Path(word).name == "nstbatch":
                    rest = words[start:]
                    yield rest[: rest.index("&&")] if "&&" in rest else rest


SHOWING = [page for page in PAGES if page.name != "cli.md" and list(commands(page))]


@pytest.mark.parametrize("page", SHOWING, ids=name)
def test_commands_parse(page: Path) -> None:
    for words in commands(page):
        if "--config" in words:  # its file would be read
            continue
        length = 2 if " ".join(words[:2]) in VERBS else 1
        verb, arguments = " ".join(words[:length]), words[length:]
        VERBS[verb].make_context(verb, arguments)  # a UsageError for what it does not know


# --- Python -----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name)
def test_python_compiles(page: Path) -> None:
    for code in blocks(page, "python"):
        compile(code, name(page), "exec")
        for public in re.findall(r"(?<!from )\bnstbatch\.(\w+)", code):
            assert public in nstbatch.__all__


def test_bundles_run_without_nstbatch() -> None:
    """The examples run in test_code_blocks.py."""
    assert "nstbatch" not in "".join(blocks(DOCS / "bundles.md", "python"))
