"""Names of GPUs: ``cuda:1`` is the second one, and ``cuda:0,cuda:1`` are two."""

from __future__ import annotations

from nstbatch.runtime.errors import UnknownNameError, UsageError

from .nvidia import gpu_count
from .provider_options import BY_TENSORRT

ON_GPUS = ("cuda", *BY_TENSORRT)
"""The devices that are GPUs."""


def device_and_gpu(name: str) -> tuple[str, int]:
    """Split the name of one device into that of its kind, and the number of its GPU.

    Args:
        name: Such as "cuda:1"; without a number the first GPU is meant, or a processor.

    Raises:
        UsageError: It names several devices, the device has no numbers, or there is no such GPU.
    """
    if "," in name:
        raise UsageError(f"One device is needed here, and {name!r} names several.")
    device, colon, number = name.partition(":")
    if not colon:
        return device, 0
    if device not in ON_GPUS:
        raise UsageError(
            f"Only {', '.join(ON_GPUS)} have numbers, such as 'cuda:1'; {name!r} has one."
        )
    count = gpu_count()
    if not (number.isascii() and number.isdigit()) or (count and int(number) >= count):
        raise UnknownNameError("device", name, [f"{device}:{gpu}" for gpu in range(max(count, 1))])
    return device, int(number)


def devices_named(text: str) -> tuple[str, ...]:
    """Return the devices that a text names, each by a name of its own.

    Args:
        text: One device, or several GPUs: "cuda:0,cuda:1".

    Raises:
        UsageError: One is named twice, or they are not GPUs of one kind with a number each, or
            there is no such GPU.
    """
    names = [name.strip() for name in text.split(",")]
    found = [device_and_gpu(name) for name in names]
    if len(names) == 1:
        return tuple(names)
    first = found[0][0]
    for number, (name, (device, _)) in enumerate(zip(names, found, strict=True)):
        if device != first or ":" not in name:
            raise UsageError(
                f"Several devices must be GPUs of one kind with their numbers, such as "
                f"'cuda:0,cuda:1', not {text!r}."
            )
        if found[number] in found[:number]:
            raise UsageError(f"The device {name!r} is named twice.")
    return tuple(names)
