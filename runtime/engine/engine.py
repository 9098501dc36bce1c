"""A bundle on a device: what every system of this project runs its objectives with."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import onnxruntime as ort

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.bundles.bundle import Bundle, GraphKind
from nstbatch.runtime.checks import Pooling, at_least
from nstbatch.runtime.descent.loop import Bounds, Descent, Steppable, Varying, nothing_varies
from nstbatch.runtime.descent.optimizers import LBFGS, Optimizer, State
from nstbatch.runtime.devices.gpu_memory import gpu_memory
from nstbatch.runtime.devices.processor import available_cores
from nstbatch.runtime.devices.providers import Provider, resolve
from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.names import GRADIENT, IMAGE, SCALARS, STATE, TARGET, WEIGHT
from nstbatch.runtime.objectives.terms import Objective, Term, projection
from nstbatch.runtime.objectives.views import View

from .batch_size import bytes_of_step, largest_batch
from .batching import Batcher, Start
from .kept import Kept
from .network_facts import smallest_sides
from .ready_graph import Recipe
from .session import Session
from .stored_values import remembered_arrays

if TYPE_CHECKING:
    import onnx

Targets: TypeAlias = Mapping[str, Array]

# Photos of one shape share their sessions: four for each scale, of which a run has four by
# default. More would keep the activations of shapes that may never come again. As many again for
# every size of batch, see :mod:`.batching`.
KEPT_SESSIONS = 16

# A guess: batches of this many keep a large GPU busy at 256 pixels.
MOST_TOGETHER = 8

# Steps between two looks at the losses on a GPU. A guess: a second or less between two reports.
LOOK_EVERY = 10


class Engine:
    """Opens sessions of a bundle's graphs on one device, and keeps the latest of them.

    It may be used from several threads; see :meth:`share`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ) -> None:
        """Load a bundle and choose a device.

        Args:
            model: Name of a bundle, or its folder.
            device: "auto", "cpu", "openvino", "cuda" or "tensorrt".
            precision: "auto", "fp32", "bf16" or "fp16", of the convolutions.
            threads: How many to use; None for all cores of this process.

        Raises:
            UnknownNameError: There is no such bundle, device or precision.
            BundleError: The bundle is damaged.
            ProviderError: The device cannot be used; says why.
        """
        self.bundle = Bundle.load(model)
        # 10 to 90 ms, against a second and more until the first step. A bundle that was cut short
        # in copying would paint noise.
        self.bundle.verify()
        self._provider = resolve(device, precision)
        self._threads = threads
        self._run_options = ort.RunOptions()
        self._sessions: Kept[Session] = Kept(KEPT_SESSIONS)
        self._batcher: Batcher | None = None
        self._of_thread = threading.local()
        self._smallest: dict[Pooling, Mapping[str, int]] = {}
        self._scales: dict[Pooling, float] = {}

    @property
    def provider(self) -> Provider:
        """What computes, and in what precision."""
        forced: Provider | None = getattr(self._of_thread, "provider", None)
        return forced or self._provider

    @provider.setter
    def provider(self, provider: Provider) -> None:
        self._provider = provider

    def best_batch(
        self,
        objective: Objective,
        optimizer: Optimizer,
        pooling: Pooling,
        size: tuple[int, int],
    ) -> int:
        """How many pictures to step together where nobody says.

        A processor gains nothing by it. A GPU gets as many as fit into what is free of its memory,
        up to :data:`MOST_TOGETHER`; but one with L-BFGS, whose pictures come out visibly different
        for the rounding of another batch.

        Args:
            objective: What they are stepped down.
            optimizer: How they are moved.
            pooling: Which variant of the network.
            size: Height and width of the largest.
        """
        if self.provider.memory != "cuda" or optimizer.name == LBFGS.name:
            return 1
        free = gpu_memory("free")
        if free is None:
            return 1
        one = bytes_of_step(self.bundle, objective.terms, pooling, size)
        return largest_batch(one, free, MOST_TOGETHER)

    def share(self, batch: int) -> None:
        """Bring together what several threads compute from now on, see :mod:`.batching`.

        Args:
            batch: How many pictures may be stepped as one.

        Raises:
            UsageError: Not even one.
        """
        at_least("batch", batch, 1)
        self._batcher = Batcher(batch)
        self._sessions = Kept(KEPT_SESSIONS * batch.bit_length())

    def step_fewer_together(self) -> None:
        """Halve the batches from now on: there was not enough memory for one."""
        if self._batcher is not None:
            self._batcher.most = max(1, self._batcher.most // 2)

    def picture(self) -> AbstractContextManager[None]:
        """What is done within a ``with`` block is one picture's; see :meth:`.Batcher.picture`."""
        return self._batcher.picture() if self._batcher else nullcontext()

    def terminate(self) -> None:
        """End the pass that is under way, and all to come, with a StoppedError.

        May be called from any thread; see :class:`.session.Session`.
        """
        self._run_options.terminate = True

    def drop_sessions(self) -> None:
        """Give back the memory of the sessions that are kept for a next picture of their shape."""
        self._sessions.clear()

    @contextmanager
    def in_fp32(self) -> Iterator[None]:
        """Compute in fp32 within a ``with`` block, whatever was chosen: in this thread."""
        self._of_thread.provider = replace(self._provider, precision="fp32")
        try:
            yield
        finally:
            del self._of_thread.provider

    def smallest_side(self, layer: str, pooling: Pooling) -> int:
        """Shortest side of a picture, in pixels, that a layer of the bundle has anything to say of.

        Below the stride a padded network still gives a value, of little more than its padding.
        """
        stride = self.bundle.layer(layer).stride or 1
        if pooling not in self._smallest:
            self._smallest[pooling] = smallest_sides(self.bundle, pooling)
        return max(stride, self._smallest[pooling][layer])

    def largest_need(self, layers: Iterable[str], pooling: Pooling) -> tuple[int, str]:
        """Shortest side that a picture may have for these layers, and the layer that asks for it.

        Raises:
            UnknownNameError: The bundle lacks a layer.
        """
        return max((self.smallest_side(layer, pooling), layer) for layer in layers)

    def check_side(
        self, what: str, size: tuple[int, ...], layers: Iterable[str], pooling: Pooling
    ) -> None:
        """Raise an ImageError where a picture is too small for a layer.

        Args:
            what: What the message calls the picture, after "The".
            size: Its height and width; what follows them does not matter.
            layers: Those in use.
            pooling: Which variant of the network.
        """
        height, width = size[:2]
        smallest, layer = self.largest_need(layers, pooling)
        if min(height, width) < smallest:
            raise ImageError(
                f"The {what} is {width}x{height} pixels; "
                f"{layer} needs at least {smallest} on each side."
            )

    def targets(
        self, terms: tuple[Term, ...], images: Array, pooling: Pooling, *, keep: bool = False
    ) -> Targets:
        """What reference pictures leave behind for the terms, by ``target/<term>``.

        Always in float32: it is done once, and every later step is measured against it.

        Args:
            terms: Of an objective, each with a target; none give nothing.
            images: (N, 3, H, W), RGB in [0, 1], no smaller than :meth:`smallest_side`.
            pooling: Which variant of the network.
            keep: Whether to keep what comes of it on disk, where the images will come again.
        """

        def make() -> onnx.ModelProto:
            from nstbatch.runtime.graphs.link import link_targets

            return link_targets(self.bundle.read_graph("forward", pooling), terms)

        def open_session() -> Session:
            return Session(
                self._recipe(make, "targets", terms, pooling),
                {IMAGE: images.shape},
                replace(self.provider, precision="fp32"),
                weights_folder=self.bundle.path,
                threads=self._threads,
                run_options=self._run_options,
            )

        def compute() -> Targets:
            with self._exclusive():
                session = self._kept(("targets", terms, pooling, images.shape), open_session)
                return session.run({IMAGE: images})

        if not terms:
            return {}
        if not keep:
            return compute()
        about = (self.bundle.sha256, terms, pooling, self.provider.device, self._threads)
        seen = (images.shape, hashlib.sha256(images.tobytes()).hexdigest())
        return remembered_arrays((*about, available_cores(), *seen), compute)

    def project(self, rule: GraphKind, layer: str, cotangents: Array, images: Array) -> Array:
        """What cotangents of one layer become on their way back to the images, (N, 3, H, W).

        Args:
            rule: The graph of the way back: "gradient", "deconv" or "guided".
            layer: Where it begins.
            cotangents: (N, ...), of the shape of the layer's activation.
            images: (N, 3, H, W), RGB in [0, 1], no smaller than :meth:`smallest_side`.
        """
        term = projection(layer)
        inputs = {
            IMAGE: images,
            TARGET + term.name: cotangents,
            WEIGHT + term.name: np.ones(len(images), np.float32),
        }
        shapes = {name: values.shape for name, values in inputs.items()}
        provider = self.provider

        def make() -> onnx.ModelProto:
            from nstbatch.runtime.graphs.link import link

            network = self._network(provider, rule, "max", (layer,))
            return link(network, (term,), len(images))

        def open_session() -> Session:
            return Session(
                self._recipe(make, "project", rule, term, len(images)),
                shapes,
                provider,
                weights_folder=self.bundle.path,
                threads=self._threads,
                run_options=self._run_options,
            )

        with self._exclusive():
            key = ("project", provider, rule, term, tuple(shapes.items()))
            return self._kept(key, open_session).run(inputs)[GRADIENT]

    def descent(
        self,
        objective: Objective,
        targets: Targets,
        images: Array,
        optimizer: Optimizer,
        state: State,
        *,
        pooling: Pooling,
        bounds: Bounds,
        views: tuple[View, ...] = (),
        varying: Varying = nothing_varies,
    ) -> Steppable:
        """An objective over images (N, 3, H, W), ready to be stepped down.

        Args:
            objective: The terms and their weights.
            targets: By ``target/<term>``: those of :meth:`targets`, and what a term is given. By
                ``view/<view>/<input>``: what a view is given once.
            images: Where to start, RGB in [0, 1], no smaller than :meth:`smallest_side`.
            optimizer: How to move.
            state: The optimiser's, fresh or resampled to the size of the images.
            pooling: Which variant of the network.
            bounds: What the pixels are kept in.
            views: What lies between the images and the network.
            varying: Draws what the views are given anew in every step.

        Raises:
            UnknownNameError: The bundle was not exported with this pooling.
            ProviderError: ONNX Runtime would run it elsewhere.
        """
        weights = {
            WEIGHT + term.name: term.graph_weight(
                weight, targets.get(TARGET + term.name), images.shape[0]
            )
            for weight, term in objective.weighted
        }
        start = Start(images, state, {**targets, **weights})
        provider = self.provider

        def open_descent(start: Start) -> Descent:
            shape = start.images.shape
            inputs = {**start.constants, **varying()}
            step = self._step_session(provider, objective.terms, views, pooling, shape, inputs)
            update = self._update_session(provider, optimizer, shape, start.state)
            return Descent(
                *(step, update, optimizer, start.images, start.state, start.constants),
                *(bounds, varying, LOOK_EVERY if provider.memory == "cuda" else 1),
            )

        if self._batcher is None:
            return open_descent(start)
        shapes = tuple((name, values.shape) for name, values in start.constants.items())
        key = (provider, objective.terms, pooling, images.shape, shapes, optimizer, bounds)
        # Most views are handed numbers of their own in every step, which are not the pictures'.
        alone = views or len(images) > 1
        return self._batcher.join(start, open_descent, None if alone else key)

    def _step_session(
        self,
        provider: Provider,
        terms: tuple[Term, ...],
        views: tuple[View, ...],
        pooling: Pooling,
        image_shape: tuple[int, ...],
        inputs: Mapping[str, Array],
    ) -> Session:
        shapes = {name: values.shape for name, values in inputs.items()} | {IMAGE: image_shape}

        def make() -> onnx.ModelProto:
            from nstbatch.runtime.graphs.link import link

            layers = [term.layer for term in terms if term.layer is not None]
            network = self._network(provider, "gradient", pooling, layers)
            return link(network, terms, image_shape[0], views)

        def open_session() -> Session:
            return Session(
                self._recipe(make, "step", terms, views, pooling, image_shape[0]),
                shapes,
                provider,
                weights_folder=self.bundle.path,
                threads=self._threads,
                run_options=self._run_options,
                captured=True,
            )

        key = ("step", provider, terms, views, pooling, tuple(shapes.items()))
        return self._kept(key, open_session)

    def _network(
        self, provider: Provider, rule: GraphKind, pooling: Pooling, layers: Collection[str]
    ) -> onnx.ModelProto:
        """A gradient graph, in half precision where that has to be written into it."""
        graph = self.bundle.read_graph(rule, pooling)
        if provider.precision != "fp16":
            return graph
        from nstbatch.runtime.graphs.half_precision import half_precision

        from .activation_scale import activation_scale

        if pooling not in self._scales:
            self._scales[pooling] = activation_scale(self.bundle, pooling, self._threads)
        return half_precision(graph, layers, self._scales[pooling])

    def _update_session(
        self, provider: Provider, optimizer: Optimizer, image_shape: tuple[int, ...], state: State
    ) -> Session:
        shapes = dict.fromkeys((IMAGE, GRADIENT), image_shape) | dict.fromkeys(SCALARS, ())
        shapes |= {STATE + name: values.shape for name, values in state.items()}

        n, c, height, width = image_shape

        def open_session() -> Session:
            return Session(
                Recipe(
                    ("update", optimizer, image_shape),
                    lambda: optimizer.graph((n, c, height, width)),
                ),
                shapes,
                provider.for_updates,
                threads=self._threads,
                run_options=self._run_options,
                captured=True,
                # Its threads would spin through the step that follows:
                # docs/decisions/0018-openvino-as-it-is.md.
                spinning=False,
            )

        return self._kept(("update", optimizer, image_shape), open_session)

    def _exclusive(self) -> AbstractContextManager[None]:
        """Nobody else computes within this block."""
        return self._batcher.exclusive() if self._batcher else nullcontext()

    def _recipe(self, make: Callable[[], onnx.ModelProto], *parts: Any) -> Recipe:
        """A graph of the bundle, and what of it shapes it."""
        return Recipe((self.bundle.sha256, *parts), make)

    def _kept(self, key: Hashable, open_session: Callable[[], Session]) -> Session:
        """The session kept under a key, or a new one."""
        return self._sessions.get(key, open_session)
