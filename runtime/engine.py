"""A bundle on a device: what every system of this project runs its objectives with."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import onnx
import onnxruntime as ort

from .activation_scale import activation_scale
from .bundle import Bundle, GraphKind, Pooling
from .errors import ImageError
from .half_precision import half_precision
from .link import GRADIENT, IMAGE, TARGET, WEIGHT, link, link_targets
from .loop import Bounds, Descent, Varying, nothing_varies
from .optimizers import Optimizer, State
from .projection import projection
from .providers import resolve
from .session import Array, Session
from .smallest import smallest_side
from .terms import Objective, Term
from .update_graph import SCALARS, STATE
from .views import View

Targets: TypeAlias = Mapping[str, Array]

# Photos of one shape share their sessions: four for each scale, of which a run has four by
# default. More would keep the activations of shapes that may never come again.
KEPT_SESSIONS = 16

# Steps between two looks at the losses on a GPU. A guess: a second or less between two reports.
LOOK_EVERY = 10


class Engine:
    """Opens sessions of a bundle's graphs on one device, and keeps the latest of them."""

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
        self.provider = resolve(device, precision)
        self._threads = threads
        self._run_options = ort.RunOptions()
        self._sessions: OrderedDict[Hashable, Session] = OrderedDict()
        self._smallest: dict[tuple[str, Pooling], int] = {}
        self._scales: dict[Pooling, float] = {}

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
        """Compute in fp32 within a ``with`` block, whatever was chosen."""
        chosen = self.provider
        self.provider = replace(chosen, precision="fp32")
        self.drop_sessions()
        try:
            yield
        finally:
            self.provider = chosen
            self.drop_sessions()

    def smallest_side(self, layer: str, pooling: Pooling) -> int:
        """Shortest side of a picture, in pixels, that a layer of the bundle has anything to say of.

        Below the stride a padded network still gives a value, of little more than its padding.
        """
        key = (layer, pooling)
        if key not in self._smallest:
            stride = self.bundle.layer(layer).stride or 1
            graph = self.bundle.read_graph("forward", pooling)
            self._smallest[key] = max(stride, smallest_side(graph, {layer}))
        return self._smallest[key]

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

    def targets(self, terms: tuple[Term, ...], images: Array, pooling: Pooling) -> Targets:
        """What reference pictures leave behind for the terms, by ``target/<term>``.

        Always in float32: it is done once, and every later step is measured against it.

        Args:
            terms: Of an objective, each with a target; none give nothing.
            images: (N, 3, H, W), RGB in [0, 1], no smaller than :meth:`smallest_side`.
            pooling: Which variant of the network.
        """

        def open_session() -> Session:
            graph = link_targets(self.bundle.read_graph("forward", pooling), terms)
            return Session(
                graph,
                {IMAGE: images.shape},
                replace(self.provider, precision="fp32"),
                weights_folder=self.bundle.path,
                threads=self._threads,
                run_options=self._run_options,
            )

        if not terms:
            return {}
        session = self._kept(("targets", terms, pooling, images.shape), open_session)
        return session.run({IMAGE: images})

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

        def open_session() -> Session:
            return Session(
                link(self._network(rule, "max", (layer,)), (term,), len(images)),
                shapes,
                self.provider,
                weights_folder=self.bundle.path,
                threads=self._threads,
                run_options=self._run_options,
            )

        session = self._kept(("project", rule, term, tuple(shapes.items())), open_session)
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
        bounds: Bounds,
        views: tuple[View, ...] = (),
        varying: Varying = nothing_varies,
    ) -> Descent:
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
        constants = {**targets, **weights}
        step = self._step_session(
            objective.terms, views, pooling, images.shape, {**constants, **varying()}
        )
        update = self._update_session(optimizer, images.shape, state)
        look_every = LOOK_EVERY if self.provider.memory == "cuda" else 1
        return Descent(
            step, update, optimizer, images, state, constants, bounds, varying, look_every
        )

    def _step_session(
        self,
        terms: tuple[Term, ...],
        views: tuple[View, ...],
        pooling: Pooling,
        image_shape: tuple[int, ...],
        inputs: Mapping[str, Array],
    ) -> Session:
        shapes = {name: values.shape for name, values in inputs.items()} | {IMAGE: image_shape}

        def open_session() -> Session:
            layers = [term.layer for term in terms if term.layer is not None]
            graph = link(self._network("gradient", pooling, layers), terms, image_shape[0], views)
            return Session(
                graph,
                shapes,
                self.provider,
                weights_folder=self.bundle.path,
                threads=self._threads,
                run_options=self._run_options,
                captured=True,
            )

        return self._kept(("step", terms, views, pooling, tuple(shapes.items())), open_session)

    def _network(
        self, rule: GraphKind, pooling: Pooling, layers: Collection[str]
    ) -> onnx.ModelProto:
        """A gradient graph, in half precision where that has to be written into it."""
        graph = self.bundle.read_graph(rule, pooling)
        if self.provider.precision != "fp16":
            return graph
        if pooling not in self._scales:
            self._scales[pooling] = activation_scale(self.bundle, pooling, self._threads)
        return half_precision(graph, layers, self._scales[pooling])

    def _update_session(
        self, optimizer: Optimizer, image_shape: tuple[int, ...], state: State
    ) -> Session:
        shapes = dict.fromkeys((IMAGE, GRADIENT), image_shape) | dict.fromkeys(SCALARS, ())
        shapes |= {STATE + name: values.shape for name, values in state.items()}

        def open_session() -> Session:
            n, c, height, width = image_shape
            graph = optimizer.graph((n, c, height, width))
            return Session(
                graph,
                shapes,
                self.provider.for_updates,
                threads=self._threads,
                run_options=self._run_options,
                captured=True,
            )

        return self._kept(("update", optimizer, image_shape), open_session)

    def _kept(self, key: Hashable, open_session: Callable[[], Session]) -> Session:
        """The session kept under a key, or a new one in place of the one unused the longest."""
        if key not in self._sessions:
            while len(self._sessions) >= KEPT_SESSIONS:
                self._sessions.popitem(last=False)
            self._sessions[key] = open_session()
        self._sessions.move_to_end(key)
        return self._sessions[key]
