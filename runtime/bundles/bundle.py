"""A bundle: the folder that the exporter writes for a backbone. The runtime needs nothing else.

It holds ONNX graphs, one ``weights.safetensors`` that every graph points into, and ``bundle.json``,
the manifest.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nstbatch.runtime.checks import POOLINGS, Pooling
from nstbatch.runtime.errors import BundleError, UnknownNameError, UsageError
from nstbatch.runtime.files import write_atomically
from nstbatch.runtime.user_folders import expanded, user_data

from .exportable import EXPORTABLE, how_to_export
from .external_data import check_external_data
from .graph_contract import check_graph
from .manifest import (
    MANIFEST,
    MAX_POOLING_ONLY,
    NAME,
    WEIGHTS,
    GraphKind,
    Layer,
    Manifest,
    Preprocessing,
    file_names,
    graph_name,
)

if TYPE_CHECKING:
    import onnx

__all__ = [
    "MANIFEST",
    "POOLINGS",
    "WEIGHTS",
    "Bundle",
    "GraphKind",
    "Layer",
    "Manifest",
    "Pooling",
    "Preprocessing",
    "builtin_folder",
    "file_names",
    "graph_name",
    "installed",
    "sha256_of",
    "user_folder",
    "write_manifest",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Bundle(Manifest):
    """The manifest of a bundle, and the folder of its files."""

    path: Path
    """The folder."""

    @classmethod
    def load(cls, model: str | os.PathLike[str]) -> Bundle:
        """Read the manifest of a model and check that its files exist.

        Their hashes are not checked here; `verify` does that.

        Args:
            model: The name of a built-in or an installed model, or a bundle's folder.

        Raises:
            UnknownNameError: No model has this name.
            UsageError: The folder does not exist.
            BundleError: The manifest is damaged or of another format, or a file is missing or is a
                link to another folder.
        """
        folder = _find(model)
        bundle = _read_manifest(folder)
        missing = [name for name in bundle.sha256 if not (folder / name).is_file()]
        if missing:
            raise BundleError(
                f"The bundle {folder} lacks {', '.join(missing)}. Export or copy it again."
            )
        home = folder.resolve()
        away = [name for name in bundle.sha256 if (folder / name).resolve().parent != home]
        if away:
            raise BundleError(
                f"The bundle {folder} has links to files elsewhere: {away[0]}. "
                "All files of a bundle must be in its folder."
            )
        return bundle

    @property
    def weights_path(self) -> Path:
        """The weights file, which all graphs share."""
        return self.path / WEIGHTS

    def graph_path(self, kind: GraphKind, pooling: Pooling = "max") -> Path:
        """Path of a graph.

        The deconv and guided graphs exist for max pooling only, since they follow its switches.

        Raises:
            UnknownNameError: The bundle was not exported with this pooling.
            UsageError: A deconv or guided graph was requested with average pooling.
        """
        if pooling not in self.poolings:
            raise UnknownNameError(f"pooling of {self.name}", pooling, self.poolings)
        if pooling != "max" and kind in MAX_POOLING_ONLY:
            raise UsageError(f"The {kind} graph exists for max pooling only, not {pooling!r}.")
        return self.path / graph_name(kind, pooling)

    def read_graph(self, kind: GraphKind, pooling: Pooling = "max") -> onnx.ModelProto:
        """Read a graph without its weights.

        Raises:
            BundleError: It is not ONNX, reads weights from another file, or breaks the contract in
                `docs/bundles.md`.
            UnknownNameError: See `graph_path`.
            UsageError: See `graph_path`.
        """
        import onnx

        path = self.graph_path(kind, pooling)
        try:
            model = onnx.load_model(path, load_external_data=False)
        except Exception as error:  # protobuf's DecodeError or an OSError: either means a bad file
            raise BundleError(f"{path} is not an ONNX graph: {error}") from error
        check_external_data(model, self.weights_path)
        try:
            check_graph(model, kind, self.layer_names, self.opset)
        except BundleError as error:
            raise BundleError(f"{path} is not the graph of its name: {error}") from error
        return model

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The names of `layers`, in the same order."""
        return tuple(layer.name for layer in self.layers)

    def layer(self, name: str) -> Layer:
        """The layer with this name; an UnknownNameError lists the valid names."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise UnknownNameError(f"layer of {self.name}", name, self.layer_names)

    @property
    def size_bytes(self) -> int:
        """Total size of all files, in bytes."""
        return sum((self.path / name).stat().st_size for name in (MANIFEST, *self.sha256))

    def verify(self) -> None:
        """Compare every file with its SHA-256; a BundleError names those that differ."""
        changed = [
            name for name, digest in self.sha256.items() if sha256_of(self.path / name) != digest
        ]
        if changed:
            raise BundleError(
                f"Damaged files in {self.path}: {', '.join(changed)} "
                "do not have the SHA-256 that the manifest gives. Export or copy the bundle again."
            )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; a BundleError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.") from error


# --- Finding ----------------------------------------------------------------------------------


def installed() -> list[str]:
    """Names of the models that `Bundle.load` finds: the built-in ones, then the user's."""
    return list(_installed_folders())


def user_folder() -> Path:
    """The folder of the user's own bundles, one subfolder each; $NSTBATCH_HOME changes it.

    Raises:
        UsageError: The user has no home folder, and $NSTBATCH_HOME is not set.
    """
    home = os.environ.get("NSTBATCH_HOME")
    data = Path(home) if home else user_data()
    if data is None:
        raise UsageError("This user has no home folder for models. Set HOME or NSTBATCH_HOME.")
    return data / "bundles"


def builtin_folder() -> Path:
    """The folder of the bundles that come with the package."""
    return Path(__file__).parent


def _installed_folders() -> dict[str, Path]:
    try:
        own = _bundles_in(user_folder())
    except UsageError:  # no home folder
        own = {}
    builtin = _bundles_in(builtin_folder())
    return builtin | {name: folder for name, folder in own.items() if name not in builtin}


def _bundles_in(parent: Path) -> dict[str, Path]:
    """Return the bundles of a folder by name; none, and a warning, if it cannot be read."""
    try:
        folders = sorted(parent.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        log.warning("The models in %s cannot be listed: %s.", parent, error.strerror)
        return {}
    return {folder.name: folder for folder in folders if _is_bundle(folder)}


def _is_bundle(folder: Path) -> bool:
    try:
        return (folder / MANIFEST).is_file()
    except OSError:  # a folder that may not be looked into
        return False


def _find(model: str | os.PathLike[str]) -> Path:
    if isinstance(model, str) and NAME.fullmatch(model):
        # The user's folder is not looked at for a built-in model: it may be out of reach.
        known = _bundles_in(builtin_folder())
        if model not in known:
            known = _installed_folders()
        if model in known:
            return known[model]
        folder = Path(model).absolute()
        if _is_bundle(folder):
            return folder
        if model in EXPORTABLE:
            raise UsageError(how_to_export(model))
        is_close = difflib.get_close_matches(model, known)  # a typing error is likelier
        raise UnknownNameError("model", model, known if is_close else [*known, *EXPORTABLE])
    folder = (expanded(Path(model)) or Path(model)).absolute()
    if not folder.is_dir():
        raise UsageError(f"There is no bundle at {folder}: no such folder.")
    return folder


# --- The manifest -----------------------------------------------------------------------------


def write_manifest(bundle: Bundle) -> Path:
    """Write ``bundle.json`` atomically into the bundle's folder and return its path.

    Raises:
        BundleError: `Bundle.load` would refuse this manifest.
    """
    data = bundle.to_json()
    Manifest.parse(data)
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    path = bundle.path / MANIFEST
    write_atomically(path, text.encode())
    return path


def _read_manifest(folder: Path) -> Bundle:
    path = folder / MANIFEST
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BundleError(
            f"No bundle in {folder}: {MANIFEST} cannot be read: {error.strerror}."
        ) from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is not JSON: {error}.") from error
    try:
        manifest = Manifest.parse(data)
    except BundleError as error:
        raise BundleError(f"Damaged manifest {path}: {error}") from error
    return Bundle(path=folder, **vars(manifest))
