"""Keys of the cache: a hash of everything that an entry depends on.

One part is the material of a graph: a bundle's files, terms, views, shapes, a provider. The other
is its maker: the sources of :mod:`nstbatch.runtime`, the libraries that link and optimise, and the
processor, for which ONNX Runtime lays out weights. Sources count by their bytes, since a version
number does not change with every edit.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.util
import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import onnxruntime as ort

import nstbatch.runtime
from nstbatch.runtime.devices.processor import processor_flags
from nstbatch.runtime.formulas.formula import Formula

RUNTIME = Path(nstbatch.runtime.__file__).parent
LIBRARIES = ("onnx", "onnx-ir", "onnxscript")


def cache_key(kind: str, *parts: Any) -> str | None:
    """Return a key, in hexadecimal; None if the source of a part is unknown.

    Args:
        kind: Kind of entry.
        parts: Its material: JSON values, dataclasses, formulas.
    """
    try:
        text = json.dumps([_makers(), kind, *parts], default=_plain, sort_keys=True)
    except _UnknownSourceError:
        return None
    return hashlib.sha256(text.encode()).hexdigest()


class _UnknownSourceError(Exception):
    """A part has no known source or kind, so it may change without notice."""


def _plain(value: Any) -> Any:
    if isinstance(value, Formula):
        return [value.module, value.name, _source_of(value.module)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return [kind.__module__, kind.__qualname__, _source_of(kind.__module__), fields]
    raise _UnknownSourceError


@functools.cache
def _makers() -> list[Any]:
    """Everything that a graph depends on beside its material."""
    flags = processor_flags()
    return [
        digest_of_sources(RUNTIME),
        [metadata.version(name) for name in LIBRARIES],
        [ort.__version__, ort.get_build_info()],
        [platform.system(), platform.machine(), platform.processor(), sorted(flags or ())],
    ]


def digest_of_sources(folder: Path) -> str:
    """Return the hash of all Python files in a folder and its subfolders, and of their paths."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = hashlib.sha256(path.read_bytes()).digest()
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + content)
    return digest.hexdigest()


@functools.cache
def _source_of(module: str) -> str:
    """Return the hash of a module's source; empty for the runtime's, which are in every key."""
    if module.startswith(f"{nstbatch.runtime.__name__}."):
        return ""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError) as error:  # ValueError: __main__ of a script has none
        raise _UnknownSourceError from error
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise _UnknownSourceError
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()
