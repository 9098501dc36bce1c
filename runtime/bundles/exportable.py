"""The networks that `nstbatch export` makes bundles of. It knows them itself; it needs PyTorch."""

from __future__ import annotations

from importlib.util import find_spec

from nstbatch.runtime.installing import install_command

# The names of exporter/networks/backbones.py, without those that are built in.
EXPORTABLE = ("vgg19", "googlenet", "resnet18", "resnet50")


def how_to_export(model: str) -> str:
    """Return the sentences that say how to get a network that is not installed."""
    command = f"nstbatch export {model}"
    if find_spec("torch") is not None and find_spec("torchvision") is not None:
        return f"The model {model!r} is not installed. To download and install it: {command}"
    return (
        f"The model {model!r} is not installed. To download and install it, which needs PyTorch: "
        f"{install_command('export')} && {command}"
    )
