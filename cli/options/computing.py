"""The network, and the device that runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from nstbatch.cli.jobs.engines import ENGINES, LOCAL, RAY
from nstbatch.cli.jobs.memory_budget import MemoryBudget, parse_bytes
from nstbatch.cli.jobs.parameters import Scope
from nstbatch.cli.parsing.panels import COMPUTING, complete
from nstbatch.runtime.devices.providers import DEVICES, PRECISIONS

DEFAULT_MODEL = "vgg16"

Model = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME|FOLDER",
        help="Network: a name from `nstbatch models`, or the folder of a bundle.",
        rich_help_panel=COMPUTING,
    ),
    Scope.MAKING,
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help=f"{', '.join(DEVICES)}. `nstbatch doctor` shows which of them work here. cuda:1 is "
        "the second GPU; cuda:0,cuda:1 divides the photos between two.",
        autocompletion=complete(DEVICES),
        rich_help_panel=COMPUTING,
    ),
    Scope.MAKING,
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="PRECISION",
        help=f"Precision of the convolutions: {', '.join(PRECISIONS)}.",
        autocompletion=complete(PRECISIONS),
        rich_help_panel=COMPUTING,
    ),
    Scope.MAKING,
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        metavar="N",
        help="Number of threads; at most, and by default, one for each core.",
        show_default=False,
        rich_help_panel=COMPUTING,
    ),
    Scope.MAKING,
]
Together = Annotated[
    int | None,
    typer.Option(
        "--batch",
        min=1,
        metavar="N",
        help="Number of pictures of one shape to optimise together. Default: 1; with adam on a "
        "GPU, as many as fit.",
        show_default=False,
        rich_help_panel=COMPUTING,
    ),
    Scope.MAKING,
]
TogetherForClients = Annotated[
    int,
    typer.Option(
        "--batch",
        min=1,
        metavar="N",
        help="Number of photos of one shape to optimise together; twice as many are worked on.",
        rich_help_panel=COMPUTING,
    ),
    Scope.MAKING,
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        metavar="N",
        help="Number of processes that paint at the same time on a processor, each with its share "
        "of the cores. For processors with many cores.",
        show_default=False,
        rich_help_panel=COMPUTING,
    ),
    Scope.BATCH,
]
Gpus = Annotated[
    str | None,
    typer.Option(
        "--gpus",
        metavar="N|all",
        help="Number of GPUs to divide the photos among, with a process for each.",
        show_default=False,
        rich_help_panel=COMPUTING,
    ),
    Scope.BATCH,
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="ENGINE",
        help=f"Where the photos are painted: {', '.join(ENGINES)}. local is this machine; ray is a "
        "Ray cluster, with --jobs workers of --threads CPUs, or with --gpus workers of a GPU.",
        autocompletion=complete(ENGINES),
        rich_help_panel=COMPUTING,
    ),
    Scope.BATCH,
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="ADDRESS",
        help="Address of the Ray cluster, such as auto on one of its machines. Default: a Ray of "
        "its own on this machine, for this batch.",
        show_default=False,
        rich_help_panel=COMPUTING,
    ),
    Scope.BATCH,
]
TileSize = Annotated[
    int | None,
    typer.Option(
        "--tile-size",
        min=1,
        metavar="PIXELS",
        help="Compute pictures larger than this in tiles of this side: the same picture, with the "
        "memory of a tile. 512 suits most. For --device cpu and openvino.",
        show_default=False,
        rich_help_panel=COMPUTING,
    ),
    Scope.MAKING,
]

Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="Memory that the pictures may take, such as 2GB. Larger pictures are computed in "
        "tiles. Default: what is free. For --device cpu and openvino.",
        show_default=False,
        rich_help_panel=COMPUTING,
    ),
    Scope.MAKING,
]


@dataclass(frozen=True, eq=False, repr=False)
class Computing:
    """The network, and the device that runs it."""

    model: Model = DEFAULT_MODEL
    device: Device = "auto"
    precision: Precision = "auto"
    threads: Threads = None

    @property
    def place(self) -> dict[str, Any]:
        """The device, precision and threads, as keyword arguments of the library's classes."""
        return {"device": self.device, "precision": self.precision, "threads": self.threads}


@dataclass(frozen=True, eq=False, repr=False)
class ComputingForClients(Computing):
    """The same for the service, which optimises the photos of several clients at a time."""

    tile_size: TileSize = None
    together: TogetherForClients = 1

    @property
    def place(self) -> dict[str, Any]:
        """The same as for other verbs, and the side of the tiles."""
        return {**super().place, "tile_size": self.tile_size}


@dataclass(frozen=True, eq=False, repr=False)
class ComputingApart(Computing):
    """The same for verbs whose photos may be divided among several processes."""

    jobs: Jobs = None
    gpus: Gpus = None
    engine: Engine = LOCAL
    address: Address = None

    @property
    def place(self) -> dict[str, Any]:
        """The same as for other verbs; of several devices the first, which this process has.

        A batch on Ray paints nothing in this process, whose machine may have no GPU.
        """
        if self.engine == RAY:
            return {**super().place, "device": "cpu", "precision": "auto"}
        return {**super().place, "device": self.device.partition(",")[0].strip()}


@dataclass(frozen=True, eq=False, repr=False)
class ComputingInTiles(ComputingApart):
    """The same for verbs whose pictures may be larger than memory."""

    tile_size: TileSize = None
    memory: Memory = None

    def budget(self, *, has_tiles: bool = True) -> MemoryBudget:
        """Return the memory that the pictures may take.

        Args:
            has_tiles: False if the pictures can only be computed as a whole.

        Raises:
            UsageError: The memory is no size.
        """
        limit = None if self.memory is None else parse_bytes(self.memory)
        return MemoryBudget(limit, self.tile_size, has_tiles)

    @property
    def place(self) -> dict[str, Any]:
        """The same as for other verbs, and the side of the tiles."""
        return {**super().place, "tile_size": self.tile_size}


@dataclass(frozen=True, eq=False, repr=False)
class ComputingTogether(ComputingInTiles):
    """The same for verbs that optimise several pictures at a time."""

    together: Together = None
