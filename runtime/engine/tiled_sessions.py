"""The sessions of pictures in tiles, beside those of whole pictures, and kept with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nstbatch.runtime.arrays import Shapes
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.checks import Pooling
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.names import COTANGENT, IMAGE, SEEN, SLOPE
from nstbatch.runtime.objectives.terms import Term
from nstbatch.runtime.objectives.views import View

from .network_sessions import NetworkSessions
from .session import Session
from .tiled_step import TileSessions
from .viewed_step import ViewSessions

if TYPE_CHECKING:
    import onnx


class TiledNetworkSessions:
    """Opens the sessions of tiles, and of views outside them."""

    def __init__(self, bundle: Bundle, sessions: NetworkSessions) -> None:
        """Take a network.

        Args:
            bundle: The network.
            sessions: Keeps the sessions.
        """
        self._bundle, self._sessions = bundle, sessions

    def tile_sums(
        self, provider: Provider, terms: tuple[Term, ...], pooling: Pooling, shapes: Shapes
    ) -> Session:
        """Return the session of the first pass over tiles.

        Args:
            provider: Runs it.
            terms: Terms whose losses are sums over a picture.
            pooling: Pooling variant of the network.
            shapes: Shape of every input, by name.
        """

        def make() -> onnx.ModelProto:
            from nstbatch.runtime.graphs.tile_graphs import link_sums

            return link_sums(self._bundle.read_graph("forward", pooling), terms)

        return self._sessions.kept(("sums", terms, pooling), make, shapes, provider)

    def sum_targets(self, provider: Provider, terms: tuple[Term, ...], shapes: Shapes) -> Session:
        """Return the session that turns the sums of reference pictures into targets.

        Args:
            provider: Runs the first pass.
            terms: Terms whose targets are computed from sums.
            shapes: Shape of the sums and elements, by name.
        """

        def make() -> onnx.ModelProto:
            from nstbatch.runtime.graphs.tile_graphs import link_sum_targets

            return link_sum_targets(terms)

        parts = ("sum targets", terms)
        return self._sessions.kept(parts, make, shapes, provider.for_updates, has_network=False)

    def tiles(
        self,
        provider: Provider,
        terms: tuple[Term, ...],
        pooling: Pooling,
        shapes: Shapes,
        elements: Shapes,
    ) -> TileSessions:
        """Return the sessions of a step that is computed tile by tile.

        Args:
            provider: Runs the passes over the tiles.
            terms: Terms of the objective.
            pooling: Pooling variant of the network.
            shapes: Shape of the inputs that both passes take, by name.
            elements: Shape of the further inputs of the graph between them.
        """
        count = shapes[IMAGE][0]

        def make_pulls() -> onnx.ModelProto:
            from nstbatch.runtime.graphs.tile_graphs import link_pulls

            layers = [layer for term in terms for layer in term.layers]
            return link_pulls(
                self._sessions.gradient_graph(provider, "gradient", pooling, layers), terms, count
            )

        def make_finish() -> onnx.ModelProto:
            from nstbatch.runtime.graphs.tile_graphs import link_finish

            return link_finish(terms)

        sums = self.tile_sums(provider, terms, pooling, shapes)
        finish = self._sessions.kept(
            ("finish", terms),
            make_finish,
            {**sums.output_shapes, **elements},
            provider.for_updates,
            has_network=False,
        )
        slopes = {n: s for n, s in finish.output_shapes.items() if n.startswith(SLOPE)}
        parts = ("pulls", terms, pooling, count)
        pulls = self._sessions.kept(parts, make_pulls, {**shapes, **slopes}, provider)
        return TileSessions(sums, finish, pulls)

    def views(self, provider: Provider, views: tuple[View, ...], shapes: Shapes) -> ViewSessions:
        """Return the sessions of views that map whole pictures, always in float32.

        Args:
            provider: Runs the steps that the views belong to.
            views: From the image on, at least one.
            shapes: Shape of the image and of the inputs of the views, by name.
        """

        def make_see() -> onnx.ModelProto:
            from nstbatch.runtime.graphs.view_graphs import link_see

            return link_see(views)

        def make_pull_back() -> onnx.ModelProto:
            from nstbatch.runtime.graphs.view_graphs import link_pull_back

            return link_pull_back(views)

        provider = provider.for_updates
        see = self._sessions.kept(("see", views), make_see, shapes, provider, has_network=False)
        shapes = {**shapes, COTANGENT + SEEN: see.output_shapes[SEEN]}
        parts = ("pull back", views)
        back = self._sessions.kept(parts, make_pull_back, shapes, provider, has_network=False)
        return ViewSessions(see, back)
