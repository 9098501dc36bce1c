"""The rules that keep root folders installable as one package, and that package light."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import nstbatch

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGE_FOLDERS: dict[str, str] = PROJECT["tool"]["setuptools"]["package-dir"]

# Who may import whom: only folders further to the right.
LAYERS = ("cli", "benchmarks", "exporter", "runtime")
TORCH_USERS = {"exporter"}
# The baselines that steps are timed against; imported by a contestant's own process alone.
TORCH_MODULES = {"benchmarks/gpu/kernels.py", "benchmarks/gpu/peers.py"} | {
    f"benchmarks/peers/{name}.py" for name in ("optimizers", "peers", "products", "terms")
}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / PACKAGE_FOLDERS[package]).glob("**/*.py"))


MODULES = [
    pytest.param(package, path, id=path.relative_to(ROOT).as_posix())
    for package in PACKAGE_FOLDERS
    for path in sources(package)
]


# --- Folders ----------------------------------------------------------------------------------


def test_every_package_on_disk_is_listed() -> None:
    """Setuptools ships only what is listed; an editable install would import the rest as well."""
    on_disk = {
        ".".join([package, *path.parent.relative_to(ROOT / folder).parts])
        for package, folder in PACKAGE_FOLDERS.items()
        for path in sources(package)
    }
    assert sorted(on_disk) == sorted(PROJECT["tool"]["setuptools"]["packages"])
    houses = {f"nstbatch.{path.parent.name}" for path in ROOT.glob("*/__init__.py")}
    assert houses | {"nstbatch"} == set(PACKAGE_FOLDERS)


@pytest.mark.parametrize("package", PACKAGE_FOLDERS)
def test_every_folder_with_python_is_a_package(package: str) -> None:
    assert all((path.parent / "__init__.py").is_file() for path in sources(package))


def test_nothing_shadows_the_package() -> None:
    """Python puts the current folder first: a folder of that name would hide the installed one."""
    assert not (ROOT / "nstbatch").exists()
    assert not (ROOT / "nstbatch.py").exists()


def test_type_checkers_see_every_package() -> None:
    names = {package.removeprefix("nstbatch.") for package in PACKAGE_FOLDERS} - {"nstbatch"}
    wanted = {name: ROOT / name for name in names}
    wanted |= {path.name: path for path in (ROOT / "src/nstbatch").iterdir() if path.is_file()}
    links = {path.name: path for path in (ROOT / "typings/nstbatch").iterdir()}
    assert {name: path.resolve() for name, path in links.items()} == wanted
    assert all(path.is_symlink() and not path.readlink().is_absolute() for path in links.values())


# --- Imports ----------------------------------------------------------------------------------


def imported(path: Path) -> Iterator[str]:
    """The absolute names that a module imports anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(("package", "path"), MODULES)
def test_imports_run_one_way(package: str, path: Path) -> None:
    here = package.removeprefix("nstbatch.")
    allowed = LAYERS[LAYERS.index(here) :] if here in LAYERS else LAYERS
    folders = {name.split(".")[1] for name in imported(path) if name.startswith("nstbatch.")}
    assert folders & set(LAYERS) <= set(allowed)


@pytest.mark.parametrize(("package", "path"), MODULES)
def test_root_folders_are_imported_by_their_installed_names(package: str, path: Path) -> None:
    assert not {name.split(".")[0] for name in imported(path)} & set(LAYERS)


@pytest.mark.parametrize(("package", "path"), MODULES)
def test_only_the_exporter_and_the_baselines_import_torch(package: str, path: Path) -> None:
    is_named = path.relative_to(ROOT).as_posix() in TORCH_MODULES
    if package.removeprefix("nstbatch.") not in TORCH_USERS and not is_named:
        assert not {name.split(".")[0] for name in imported(path)} & {"torch", "torchvision"}


# --- Requirements -----------------------------------------------------------------------------


def test_the_development_set_is_pinned() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    needed = PROJECT["project"]["dependencies"] + PROJECT["build-system"]["requires"]
    installed = ("cpu", "docs", "export", "heic", "jxl", "plot", "raw", "video", "test")
    needed += [line for extra in installed for line in extras[extra]]
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M))
    for requirement in map(Requirement, needed):
        if requirement.name != "nstbatch":
            assert Version(pins[canonicalize_name(requirement.name)]) in requirement.specifier


# --- The wheel --------------------------------------------------------------------------------


def build(kind: str, tree: Path, out: Path) -> Path:
    """Build with the setuptools that is installed, in a process of its own and off the network."""
    code = f"import sys; from setuptools.build_meta import build_{kind}; build_{kind}(sys.argv[1])"
    out.mkdir()
    subprocess.run([sys.executable, "-c", code, out], cwd=tree, check=True, capture_output=True)
    (archive,) = out.iterdir()
    return archive


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that comes out of the source distribution, as package indexes are served."""
    folder = tmp_path_factory.mktemp("packaging")
    leave = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "stylized")
    shutil.copytree(ROOT, folder / "tree", ignore=leave, symlinks=True)
    with tarfile.open(build("sdist", folder / "tree", folder / "sdist")) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return build("wheel", unpacked, folder / "wheel")


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    files = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    information = f"nstbatch-{PROJECT['project']['version']}.dist-info"
    assert {f"{information}/licenses/{name}" for name in ("LICENSE", "NOTICE")} <= files

    wanted = {"nstbatch/py.typed"}
    for package in PACKAGE_FOLDERS:
        folder = ROOT / PACKAGE_FOLDERS[package]
        place = package.replace(".", "/")
        wanted |= {f"{place}/{path.relative_to(folder).as_posix()}" for path in sources(package)}
    there = (ROOT / "runtime/bundles").glob("[!_]*/*")  # without __pycache__
    bundles = [path for path in there if path.is_file()]
    page = [*(ROOT / "cli/report").glob("report*.js"), ROOT / "cli/report/report.css"]
    page.append(ROOT / "cli/report/report.html.jinja")
    page += [ROOT / "cli/service" / name for name in ("page.css", "page.html", "page.js")]
    wanted |= {f"nstbatch/{path.relative_to(ROOT).as_posix()}" for path in [*bundles, *page]}
    assert {name for name in files if not name.startswith(f"{information}/")} == wanted


def test_the_wheel_runs_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import nstbatch, nstbatch.runtime.pictures.images as images;"
        "print(nstbatch.__file__, images.__file__)"
    )
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    package = tmp_path / "site/nstbatch"
    assert shown == [str(package / "__init__.py"), str(package / "runtime/pictures/images.py")]


def test_every_public_name_can_be_imported() -> None:
    for name in nstbatch.__all__:
        assert getattr(nstbatch, name) is not None
