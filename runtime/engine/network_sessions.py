"""The sessions of one network: opened when first needed, the most recent ones kept."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nstbatch.runtime.arrays import Shape, Shapes
from nstbatch.runtime.bundles.bundle import Bundle, GraphKind
from nstbatch.runtime.cache.lru_cache import LruCache
from nstbatch.runtime.checks import Padding, Pooling
from nstbatch.runtime.descent.optimizers import Optimizer
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.names import GRADIENT, IMAGE, SCALARS, STATE
from nstbatch.runtime.needs.peak_memory import KEPT_SESSIONS
from nstbatch.runtime.objectives.terms import Term
from nstbatch.runtime.objectives.views import View

from .open_session import open_session
from .passes import PassOptions
from .ready_graph import Recipe
from .session import Session
from .strip_update import STRIP, StripUpdate

if TYPE_CHECKING:
    import onnx


# A layer's projections of all its filters go through one session, and then come those of the next
# layer. On OpenVINO each session has activations of its own: with 16 kept, sixty searches over
# VGG16's layers took 5 GB.
KEPT_PROJECTIONS = 2


class NetworkSessions:
    """Opens sessions of a bundle's graphs, and keeps the most recent ones.

    Sessions differ by graph, input shapes and provider; weights and targets are inputs, so a
    change of those opens no session.
    """

    def __init__(self, bundle: Bundle, threads: int | None) -> None:
        """Start without any session.

        Args:
            bundle: The network.
            threads: Number of threads of each session; None for all cores of this process.
        """
        self._bundle = bundle
        self._threads = threads
        self._run_options = PassOptions()
        self._sessions: LruCache[Session] = LruCache(KEPT_SESSIONS)
        self._projections: LruCache[Session] = LruCache(KEPT_PROJECTIONS)
        self._scales: dict[Pooling, float] = {}
        self._is_closed = False

    def targets(
        self,
        provider: Provider,
        terms: tuple[Term, ...],
        pooling: Pooling,
        shape: Shape,
        guides: Shapes = MappingProxyType({}),
        padding: Padding = "zeros",
    ) -> Session:
        """Return the session that computes the targets of terms.

        Args:
            provider: Runs the steps; the targets have its precision only in bf16.
            terms: Terms with a target.
            pooling: Pooling variant of the network.
            shape: Shape of the reference pictures, (N, 3, H, W).
            guides: Shapes of the guides of guided terms, by the names of their inputs.
            padding: Padding of the network's first convolution.
        """

        def make() -> onnx.ModelProto:
            from nstbatch.runtime.graphs.link import link_targets

            return link_targets(self._graph("forward", pooling, padding), terms)

        parts = ("targets", terms, pooling, padding)
        return self.kept(parts, make, {IMAGE: shape, **guides}, provider.for_targets)

    def projection(
        self, provider: Provider, rule: GraphKind, term: Term, shapes: Shapes
    ) -> Session:
        """Return the session that projects the cotangents of one layer back to the images.

        Args:
            provider: Runs it.
            rule: Graph of the backward pass: "gradient", "deconv" or "guided".
            term: The projection of the layer.
            shapes: Shape of every input, by name.
        """
        count = shapes[IMAGE][0]

        def make() -> onnx.ModelProto:
            from nstbatch.runtime.graphs.link import link

            assert term.layer is not None
            return link(self.gradient_graph(provider, rule, "max", (term.layer,)), (term,), count)

        parts = ("project", rule, term, count)
        provider = provider.for_few_passes
        return self.kept(parts, make, shapes, provider, kept_in=self._projections)

    def step(
        self,
        provider: Provider,
        terms: tuple[Term, ...],
        views: tuple[View, ...],
        pooling: Pooling,
        shapes: Shapes,
        padding: Padding = "zeros",
    ) -> Session:
        """Return the session that computes losses and gradient.

        Args:
            provider: Runs it.
            terms: Terms of the objective.
            views: Views between the images and the network.
            pooling: Pooling variant of the network.
            shapes: Shape of every input, by name.
            padding: Padding of the network's first convolution.
        """
        count = shapes[IMAGE][0]

        def make() -> onnx.ModelProto:
            from nstbatch.runtime.graphs.link import link

            layers = [layer for term in terms for layer in term.layers]
            network = self.gradient_graph(provider, "gradient", pooling, layers, padding)
            return link(network, terms, count, views)

        parts = ("step", terms, views, pooling, count, padding)
        return self.kept(parts, make, shapes, provider, captured=True)

    def search(self, provider: Provider, shapes: Shapes) -> Session:
        """Return the session that searches for nearest neighbours, always in float32.

        Args:
            provider: Runs it, whatever its precision.
            shapes: Shape of every input, by name.
        """

        def make() -> onnx.ModelProto:
            from nstbatch.runtime.formulas.hypercolumns import most_similar

            return most_similar.to_model_proto()  # type: ignore[no-any-return,no-untyped-call]

        provider = replace(provider.for_few_passes, precision="fp32")
        return self.kept(("search",), make, shapes, provider, has_network=False)

    def update(
        self, provider: Provider, optimizer: Optimizer, image_shape: Shape, state: Shapes
    ) -> Session:
        """Return the session that takes one step of an optimiser, always in float32.

        Args:
            provider: Runs the steps that this one follows.
            optimizer: The optimiser.
            image_shape: (N, 3, H, W).
            state: Shape of every part of the optimiser's state, by name.
        """
        n, c, height, width = image_shape
        whole = c * height * width
        if optimizer.is_elementwise and provider.memory == "cpu" and n == 1 and whole > STRIP:
            strip = (1, c, 1, STRIP // c)
            of_strip = self.update(provider, optimizer, strip, optimizer.state_shapes(strip))
            return StripUpdate(of_strip, whole, image_shape)
        shapes = dict.fromkeys((IMAGE, GRADIENT), image_shape) | dict.fromkeys(SCALARS, ())
        shapes |= {STATE + name: shape for name, shape in state.items()}
        return self.kept(
            ("update", optimizer, image_shape),
            lambda: optimizer.graph((n, c, height, width)),
            shapes,
            provider.for_updates,
            has_network=False,
            captured=True,
            # Its threads would spin through the step that follows:
            # docs/decisions/0018-openvino-as-it-is.md.
            spinning=False,
        )

    def keep(self, most: int) -> None:
        """Drop all sessions, and keep up to ``most`` from now on."""
        self._sessions = LruCache(most)

    def clear(self) -> None:
        """Drop all sessions, which frees their memory."""
        self._sessions.clear()
        self._projections.clear()

    def __len__(self) -> int:
        """Return the number of sessions that are kept."""
        return len(self._sessions) + len(self._projections)

    def terminate(self) -> None:
        """End the running pass and all later ones with a StoppedError; from any thread."""
        self._run_options.terminate = True

    def close(self) -> None:
        """Terminate, drop all sessions, and open none any more."""
        self._is_closed = True
        self.terminate()
        self.clear()

    def kept(
        self,
        parts: tuple[Any, ...],
        make: Callable[[], onnx.ModelProto],
        shapes: Shapes,
        provider: Provider,
        *,
        has_network: bool = True,
        captured: bool = False,
        spinning: bool = True,
        kept_in: LruCache[Session] | None = None,
    ) -> Session:
        """Return the session of a graph, from memory or newly opened.

        Args:
            parts: Everything that shapes the graph, beside the bundle.
            make: Makes the graph if it is not in the cache on disk either.
            shapes: Shape of every input, by name.
            provider: Runs it.
            has_network: True if the graph contains the bundle's network, and reads its weights.
            captured: See :func:`.open_session.open_session`.
            spinning: Likewise.
            kept_in: The sessions that it is kept with; None for those of most graphs.
        """

        def opened() -> Session:
            if self._is_closed:
                raise UsageError("This network was closed. Load it again to go on.")
            about = (self._bundle.sha256, *parts) if has_network else parts
            return open_session(
                Recipe(about, make),
                shapes,
                provider,
                weights_folder=self._bundle.path if has_network else None,
                threads=self._threads,
                run_options=self._run_options,
                captured=captured,
                spinning=spinning,
            )

        kept_in = self._sessions if kept_in is None else kept_in
        return kept_in.get((parts, provider, tuple(shapes.items())), opened)

    def _graph(self, kind: GraphKind, pooling: Pooling, padding: Padding) -> onnx.ModelProto:
        """Read a graph; rewrite its first convolution if it pads with other than zeros."""
        graph = self._bundle.read_graph(kind, pooling)
        if padding == "zeros":
            return graph
        from nstbatch.runtime.graphs.replicate_padding import with_replicated_edges

        return with_replicated_edges(graph)

    def gradient_graph(
        self,
        provider: Provider,
        rule: GraphKind,
        pooling: Pooling,
        layers: Collection[str],
        padding: Padding = "zeros",
    ) -> onnx.ModelProto:
        """Read a gradient graph; rewrite it in half precision if the provider computes in fp16."""
        graph = self._graph(rule, pooling, padding)
        if provider.precision != "fp16":
            return graph
        from nstbatch.runtime.gpu_graphs.half_precision import half_precision

        from .activation_scale import activation_scale

        if pooling not in self._scales:
            self._scales[pooling] = activation_scale(self._bundle, pooling, self._threads)
        return half_precision(graph, layers, self._scales[pooling])
