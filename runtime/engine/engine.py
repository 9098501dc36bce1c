"""A bundle on a device: runs the objectives of every system."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.bundles.bundle import Bundle, GraphKind
from nstbatch.runtime.cache.stored_values import stored_arrays
from nstbatch.runtime.checks import Padding, Pooling, at_least
from nstbatch.runtime.descent.loop import (
    Bounds,
    Steppable,
    Varying,
    Watch,
    nothing_is_watched,
    nothing_varies,
)
from nstbatch.runtime.descent.optimizers import Optimizer, State
from nstbatch.runtime.devices.processor import available_cores, threads_within
from nstbatch.runtime.devices.providers import Provider, resolve
from nstbatch.runtime.names import GRADIENT, IMAGE, TARGET, WEIGHT
from nstbatch.runtime.needs import peak_memory
from nstbatch.runtime.needs.batch_size import best_batch
from nstbatch.runtime.needs.size_limits import SizeLimits
from nstbatch.runtime.needs.tile_choice import LARGE_TILE
from nstbatch.runtime.objectives.terms import Objective, Term, projection
from nstbatch.runtime.objectives.views import View

from .batching import Batcher, Start
from .device_descent import LOOK_EVERY, Descent
from .nearest import nearest
from .network import Network
from .network_sessions import NetworkSessions

Targets: TypeAlias = Mapping[str, Array]

NO_GUIDES: Targets = MappingProxyType({})


class Engine:
    """Computes targets, projections and descents of one bundle on one device.

    Several threads may use it; see :meth:`share`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        tile_size: int | None = None,
    ) -> None:
        """Load a bundle and choose a device.

        Args:
            model: Name of a bundle, or its folder.
            device: "auto", "cpu", "openvino", "cuda" or "tensorrt"; "cuda:1" is the second GPU.
            precision: "auto", "fp32", "bf16" or "fp16"; precision of the convolutions.
            threads: Number of threads; at most, and by default, one for each core of this process.
            tile_size: See :attr:`tile_size`.

        Raises:
            UnknownNameError: There is no such bundle, device or precision.
            BundleError: The bundle is damaged.
            ProviderError: The device cannot be used; says why.
            UsageError: The number of threads or the tile size is below 1, or the device has no
                tiles.
        """
        self.bundle = Bundle.load(model)
        # 10 to 90 ms, against a second and more until the first step. A bundle that was cut short
        # in copying would paint noise.
        self.bundle.verify()
        self.limits = SizeLimits(self.bundle)
        self._provider = resolve(device, precision)
        self._threads = threads_within(available_cores(), threads)
        self._sessions = NetworkSessions(self.bundle, self._threads)
        self._network = Network(self.bundle, self._sessions, self._provider, tile_size)
        self._batcher: Batcher | None = None
        self._of_thread = threading.local()

    @property
    def provider(self) -> Provider:
        """The device that computes, and its precision."""
        forced: Provider | None = getattr(self._of_thread, "provider", None)
        return forced or self._provider

    @provider.setter
    def provider(self, provider: Provider) -> None:
        self._provider = provider

    @property
    def tile_size(self) -> int | None:
        """Side in pixels of the tiles of larger pictures; None for whole pictures only."""
        return self._network.tile_size

    @tile_size.setter
    def tile_size(self, side: int | None) -> None:
        self._network = Network(self.bundle, self._sessions, self._provider, side)

    @contextmanager
    def in_fp32(self) -> Iterator[None]:
        """Compute in fp32 within a ``with`` block, in this thread only; blocks may be nested."""
        before: Provider | None = getattr(self._of_thread, "provider", None)
        self._of_thread.provider = replace(self._provider, precision="fp32")
        try:
            yield
        finally:
            self._of_thread.provider = before

    def best_batch(
        self,
        objective: Objective,
        optimizer: Optimizer,
        pooling: Pooling,
        size: tuple[int, int],
    ) -> int:
        """Return :func:`nstbatch.runtime.needs.batch_size.best_batch` for pictures up to a size."""
        return best_batch(self.bundle, self.provider, objective.terms, optimizer, pooling, size)

    def peak_of_descent(
        self,
        steps: Sequence[Collection[str]],
        cost: peak_memory.PassCost,
        optimizer: Optimizer,
        pooling: Pooling,
        shape: tuple[int, int],
        pictures: int,
    ) -> int:
        """Return the estimated peak of memory, in bytes: this process's, or that of its GPU.

        See :func:`nstbatch.runtime.needs.peak_memory.peak_of_descent` and
        :func:`nstbatch.runtime.needs.peak_memory.peak_on_gpu`.
        """
        most = self._batcher.most if self._batcher else 1
        together = min(pictures, most)
        network = (self.bundle, steps, cost, optimizer, pooling)
        if self.provider.memory != "cpu":
            return peak_memory.peak_on_gpu(*network, shape, together, self.provider.precision)
        # As many again have begun, and wait for a place in the batch.
        begun = min(pictures, 2 * most) if self._batcher else 1
        layers = {layer for of_step in steps for layer in of_step}
        window = self._network.window(layers, pooling, shape)
        return peak_memory.peak_of_descent(*network, shape, together, begun, window)

    def peak_of_search(
        self, layers: Collection[str], batch: int, shape: tuple[int, int]
    ) -> int | None:
        """Return the estimated peak of this process's memory, in bytes; None on a GPU.

        See :func:`nstbatch.runtime.needs.peak_memory.peak_of_search`.
        """
        if self.provider.memory != "cpu":
            return None
        return peak_memory.peak_of_search(self.bundle, layers, shape, batch)

    def share(self, batch: int) -> None:
        """Batch the pictures of several threads from now on; see :mod:`.batching`.

        Args:
            batch: Largest number of pictures to step together.

        Raises:
            UsageError: It is below 1.
        """
        at_least("batch", batch, 1)
        if self._batcher is not None and self._batcher.most == batch:
            return
        self._batcher = Batcher(batch)
        self._sessions.keep(peak_memory.KEPT_SESSIONS * batch.bit_length())

    def drop_sessions(self) -> None:
        """Free the memory of the sessions that are kept for further pictures of their shape."""
        self._sessions.clear()

    def use_less_memory(self, *, has_tiles: bool = False) -> None:
        """Drop all sessions, and halve the batches from now on; else use tiles, if it can."""
        self.drop_sessions()
        if self._batcher is not None and self._batcher.most > 1:
            self._batcher.most //= 2
        elif has_tiles and self.tile_size is None and self._provider.memory == "cpu":
            self.tile_size = LARGE_TILE

    def picture(self) -> AbstractContextManager[None]:
        """Work on one picture within a ``with`` block; see :meth:`.Batcher.picture`."""
        return self._batcher.picture() if self._batcher else nullcontext()

    @property
    def waited(self) -> float:
        """Seconds for which this thread has waited for the pictures of other threads."""
        return self._batcher.waited if self._batcher else 0.0

    def terminate(self) -> None:
        """End the pass that is running, and all later ones, with a StoppedError.

        May be called from any thread; see :class:`.session.Session`.
        """
        self._sessions.terminate()

    def close(self) -> None:
        """Terminate, free all sessions, and open none any more: later calls raise a UsageError."""
        self._sessions.close()

    def targets(
        self,
        terms: tuple[Term, ...],
        images: Array,
        pooling: Pooling,
        *,
        keep: bool = False,
        guides: Targets = NO_GUIDES,
        padding: Padding = "zeros",
    ) -> Targets:
        """Compute the targets of terms from reference pictures, by ``target/<term>``.

        They have the precision of :attr:`nstbatch.runtime.devices.providers.Provider.for_targets`.

        Args:
            terms: Terms of an objective that have a target; an empty tuple gives no targets.
            images: (N, 3, H, W), RGB in [0, 1], not below :attr:`limits`.
            pooling: Pooling variant of the network.
            keep: True to store the targets on disk, for images that will come again.
            guides: The guides of guided terms, by ``guide/<term>``.
            padding: Padding of the network's first convolution.
        """
        inputs = {IMAGE: images, **guides}

        def compute() -> Targets:
            with self._exclusive():
                return self._network.targets(self.provider, terms, pooling, inputs, padding)

        if not terms:
            return {}
        if not keep:
            return compute()
        computed = (self.provider.for_targets.on_any_gpu, self._threads, self._network.tile_size)
        about = (self.bundle.sha256, terms, pooling, padding, *computed)
        seen = (
            part
            for each in inputs.values()
            for part in (each.shape, hashlib.sha256(np.ascontiguousarray(each).data).hexdigest())
        )
        return stored_arrays((*about, available_cores(), *seen), compute)

    def nearest(self, queries: Array, candidates: Array) -> NDArray[np.intp]:
        """Find the most similar candidate of each query, (Q,); see :func:`.nearest.nearest`.

        Args:
            queries: (D, Q), one a column.
            candidates: (D, P), one a column.
        """
        with self._exclusive():
            return nearest(
                queries, candidates, lambda shapes: self._sessions.search(self.provider, shapes)
            )

    def project(self, rule: GraphKind, layer: str, cotangents: Array, images: Array) -> Array:
        """Propagate cotangents of one layer back to the images; returns (N, 3, H, W).

        Args:
            rule: Graph of the backward pass: "gradient", "deconv" or "guided".
            layer: Layer of the cotangents.
            cotangents: (N, ...), of the shape of the layer's activation.
            images: (N, 3, H, W), RGB in [0, 1], not below :attr:`limits`.
        """
        term = projection(layer)
        inputs = {
            IMAGE: images,
            TARGET + term.name: cotangents,
            WEIGHT + term.name: np.ones(len(images), np.float32),
        }
        shapes = {name: values.shape for name, values in inputs.items()}
        with self._exclusive():
            session = self._sessions.projection(self.provider, rule, term, shapes)
            return session.run(inputs)[GRADIENT]

    def descent(
        self,
        objective: Objective,
        targets: Targets,
        images: Array,
        optimizer: Optimizer,
        state: State,
        *,
        pooling: Pooling,
        padding: Padding = "zeros",
        bounds: Bounds,
        views: tuple[View, ...] = (),
        varying: Varying = nothing_varies,
        watch: Watch = nothing_is_watched,
    ) -> Steppable:
        """Make images (N, 3, H, W) ready to be moved down an objective.

        Args:
            objective: The terms and their weights.
            targets: By ``target/<term>``: the result of :meth:`targets`, or values that a term is
                given; by ``guide/<term>`` and ``view/<view>/<input>``: guides, and inputs of views.
            images: Where to start, RGB in [0, 1], not below :attr:`limits`.
            optimizer: The optimiser.
            state: The optimiser's state, fresh or resampled to the size of the images.
            pooling: Pooling variant of the network.
            padding: Padding of its first convolution.
            bounds: The range of the pixels.
            views: Views between the images and the network.
            varying: Draws the inputs of the views that change in every step.
            watch: Takes the slopes of a watched view after every evaluation.

        Raises:
            UnknownNameError: The bundle was not exported with this pooling.
            ProviderError: ONNX Runtime would run it elsewhere.
        """
        start = Start(images, state, {**targets, **objective.graph_weights(targets, images.shape)})
        provider = self.provider

        def open_descent(start: Start) -> Descent:
            inputs = {**start.constants, **varying(), IMAGE: start.images}
            shapes = {name: values.shape for name, values in inputs.items()}
            step = self._network.step(provider, objective.terms, views, pooling, shapes, padding)
            state_shapes = {name: values.shape for name, values in start.state.items()}
            update = self._sessions.update(provider, optimizer, start.images.shape, state_shapes)
            return Descent(
                *(step, update, optimizer, start.images, start.state, start.constants),
                *(bounds, varying, LOOK_EVERY if provider.memory == "cuda" else 1, watch),
            )

        if self._batcher is None:
            return open_descent(start)
        shapes = tuple((name, values.shape) for name, values in start.constants.items())
        network = (provider, objective.terms, views, pooling, padding)
        key = (*network, images.shape, shapes, optimizer, bounds)
        # Random numbers that change in every step belong to no single picture.
        alone = varying is not nothing_varies or len(images) > 1
        return self._batcher.join(start, open_descent, None if alone else key)

    def _exclusive(self) -> AbstractContextManager[None]:
        """Let no other thread compute within a ``with`` block."""
        return self._batcher.exclusive() if self._batcher else nullcontext()
