"""The site is built without a warning, and its page of the Python API holds the public names."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

import nstbatch

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    return folder


def documented(site: Path) -> set[str]:
    """The names in the inventory of the site, as Sphinx writes one: four lines, then zlib."""
    lines = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    return {line.split()[0] for line in zlib.decompress(lines).decode().splitlines()}


def test_the_documented_names_are_the_public_names(site: Path) -> None:
    names = {name for name in documented(site) if name.count(".") == 1}
    assert names == {f"nstbatch.{name}" for name in nstbatch.__all__}


def test_methods_and_attributes_are_documented(site: Path) -> None:
    assert {"nstbatch.StyleTransfer.__call__", "nstbatch.Result.losses"} <= documented(site)


def test_references_in_docstrings_have_become_links(site: Path) -> None:
    page = (site / "api/index.html").read_text(encoding="utf-8")
    assert ":class:" not in page
    assert ":meth:" not in page


def test_every_page_is_on_the_site_and_nothing_else_of_its_folder(site: Path) -> None:
    for page in DOCS.glob("**/*.md"):
        folder = page.parent if page.stem in ("index", "README") else page.with_suffix("")
        assert (site / folder.relative_to(DOCS) / "index.html").is_file(), page
    assert not list(site.glob("**/*.py"))


def test_the_list_of_decisions_is_up_to_date() -> None:
    script: dict[str, Any] = runpy.run_path(str(DOCS / "decision_list.py"))
    stale = f"docs/decisions/README.md is stale: {script['COMMAND']}"
    page = (DOCS / "decisions/README.md").read_text(encoding="utf-8")
    assert page == script["decision_list"](), stale


REFERENCES: dict[str, Any] = runpy.run_path(str(DOCS / "docstring_references.py"))


@pytest.mark.parametrize(
    ("docstring", "shown"),
    [
        ("See :class:`nstbatch.runtime.style.paintings.Style`.", "See [`Style`][nstbatch.Style]."),
        ("See :meth:`Style.__call__`.", "See [`Style`][nstbatch.Style]."),
        ("See :mod:`.stall` and ``x``.", "See `stall` and `x`."),
    ],
)
def test_references_in_docstrings_become_markdown(docstring: str, shown: str) -> None:
    assert REFERENCES["markdown"](docstring, {"Style"}) == shown
