"""ONNX Runtime's real package for GPUs, on stand-ins for NVIDIA's libraries.

Memory is the processor's, kernels do nothing, and every call is written to a file. So everything
but numbers and times is real: which provider takes a node, what is recorded as a CUDA graph, which
kernels run, and the messages. docs/gpu.md says more.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent / "stub"
# The newest version that the counts of launches and bytes were made with.
RUNTIME = "onnxruntime-gpu==1.31.1"
HEADERS = "nvidia-cuda-runtime==13.*"

# Functions that start no work on the GPU; every other one that is not written out counts as some.
BOOKKEEPING = re.compile(
    r"(Set|Get|Create|Destroy|Derive|Register|Unregister|Event|Stream|Graph|Library|MemPool|"
    r"Initialize|Finalize|Heuristic|AlgoInit|Attribute|Find)"
)
# Library -> its file, the source of what it really does, and True if its names carry a version.
LIBRARIES = {
    "cudart": ("libcudart.so.13", "cudart.c", True),
    "cublas": ("libcublas.so.13", "cublas.c", True),
    "cublaslt": ("libcublasLt.so.13", "cublaslt.c", True),
    "curand": ("libcurand.so.10", None, False),
    "cufft": ("libcufft.so.12", None, False),
    "cuda": ("libcuda.so.1", "cuda.c", False),
    "cudnn": ("libcudnn.so.9", "cudnn.c", False),
}
# Names without a version, by the library that they belong to.
PREFIXES = {"cudnn": "cudnn", "cufft": "cufft", "curand": "curand", "cuTensor": "cuda"}
DEFINED = re.compile(r"^(?:\w+[ *]+)+(_{0,2}cu\w+)\(|^OPERATION\((\w+)\)", re.M)
DESCRIPTORS = re.compile(r"^DESCRIPTOR\((\w+)\)", re.M)


class AbsentError(Exception):
    """Something that the stub is made of is not there; the text says what."""


@dataclass(frozen=True)
class StubGpu:
    """A folder with the package, the libraries and a driver's tool."""

    folder: Path

    def environment(self, trace: Path | None = None, **settings: str) -> dict[str, str]:
        """Return the environment of a program that sees the GPU.

        Args:
            trace: File that the calls are written to.
            settings: Of the stub, such as STUB_DRIVER="12080"; see its sources.
        """
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("STUB_")}
        own = {
            "LD_LIBRARY_PATH": str(self.folder / "lib"),
            "PYTHONPATH": str(self.folder / "packages"),
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }
        traced = {} if trace is None else {"STUB_TRACE": str(trace)}
        return inherited | own | traced | settings

    def without(self, library: str, folder: Path) -> StubGpu:
        """Return the same GPU on a machine that lacks a library.

        Args:
            library: The file's name.
            folder: An empty folder.
        """
        for path in self.folder.iterdir():
            if path.name != "lib":
                (folder / path.name).symlink_to(path)
        shutil.copytree(self.folder / "lib", folder / "lib")
        (folder / "lib" / library).unlink()
        return StubGpu(folder)


def made_in(folder: Path) -> StubGpu:
    """Download the package, and compile the libraries.

    Args:
        folder: An empty folder; 370 MB are written there.

    Raises:
        AbsentError: There is no compiler, or the package cannot be had.
    """
    for tool in ("gcc", "nm", "strings"):
        if shutil.which(tool) is None:
            raise AbsentError(f"there is no {tool} (Debian: apt-get install gcc)")
    packages, headers = folder / "packages", folder / "headers"
    _install(RUNTIME, packages)
    _install(HEADERS, headers)
    include = next(headers.rglob("driver_types.h")).parent
    needed = _needed(packages)
    (folder / "lib").mkdir()
    for library in LIBRARIES:
        _compile(library, needed[library], include, folder)
    tool = folder / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho 80000\n")  # MiB, free or used
    tool.chmod(0o755)
    return StubGpu(folder)


def _install(package: str, target: Path) -> None:
    command = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target)
    done = subprocess.run([*command, package], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise AbsentError(f"{package} cannot be installed: {last}")


def _needed(packages: Path) -> Mapping[str, set[str]]:
    """The names that the CUDA provider needs, by library."""
    provider = packages / "onnxruntime" / "capi" / "libonnxruntime_providers_cuda.so"
    files = {file: name for name, (file, _, _) in LIBRARIES.items()}
    needed = defaultdict[str, set[str]](set)
    for line in _output("nm", "-D", "--undefined-only", provider).splitlines():
        name, _, version = line.split()[-1].partition("@")
        library = files.get(version.lstrip("@")) or _by_prefix(name)
        if library:
            needed[library].add(name)
    # cuDNN is mostly loaded by name.
    strings = _output("strings", "-n", "6", provider)
    needed["cudnn"] |= set(re.findall(r"^(cudnn[A-Z]\w+)$", strings, re.M))
    names = ("Create", "Destroy", "SetStream", "XtExec", "XtMakePlanMany")
    needed["cufft"] |= {f"cufft{name}" for name in names}
    return needed


def _by_prefix(name: str) -> str | None:
    return next((library for prefix, library in PREFIXES.items() if name.startswith(prefix)), None)


def _output(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _compile(library: str, needed: Collection[str], include: Path, folder: Path) -> None:
    """Compile one library: its source, and a function that returns 0 for each other name."""
    file, source, is_versioned = LIBRARIES[library]
    code = (SOURCES / source).read_text() if source else ""
    defined = {name for pair in DEFINED.findall(code) for name in pair}
    defined |= {f"cudnnCreate{kind}Descriptor" for kind in DESCRIPTORS.findall(code)}
    others = "\n".join(map(_function, sorted(set(needed) - defined)))
    text = folder / f"{library}.c"
    text.write_text(f'#include "trace.h"\n{code}\n{others}\n')
    command = ["gcc", "-shared", "-fPIC", "-O1", "-w", f"-I{SOURCES}", f"-I{include}"]
    command += ["-o", str(folder / "lib" / file), str(text), f"-Wl,-soname,{file}", "-lpthread"]
    if is_versioned:
        versions = folder / f"{library}.map"
        versions.write_text(f"{file} {{ global: *; }};\n")
        command.append(f"-Wl,--version-script={versions}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AbsentError(f"the stub of {library} does not compile: {done.stderr[:2000]}")


def _function(name: str) -> str:
    note = "" if BOOKKEEPING.search(name) else f'note("launch {name}"); '
    return f"long {name}(void) {{ {note}return 0; }}"
