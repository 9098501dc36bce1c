"""What is known of a bundle's graphs is what the graphs say, and they are read once for it."""

import pytest

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.errors import BundleError, UnknownNameError
from nstbatch.runtime.graphs.smallest_side import smallest_side
from nstbatch.runtime.needs.network_facts import check_graph, smallest_sides


@pytest.fixture
def reads(tmp_path, monkeypatch):
    """The graphs that have been read."""
    monkeypatch.setenv("NSTBATCH_CACHE", str(tmp_path))
    read, graphs = Bundle.read_graph, []

    def recorded(self, kind, pooling="max"):
        graphs.append((kind, pooling))
        return read(self, kind, pooling)

    monkeypatch.setattr(Bundle, "read_graph", recorded)
    return graphs


def test_the_smallest_sides_are_those_of_the_graph(reads):
    bundle = Bundle.load("alexnet")
    first, again = (smallest_sides(bundle, "avg") for _ in range(2))
    assert reads == [("forward", "avg")]
    graph = bundle.read_graph("forward", "avg")
    expected = {layer: smallest_side(graph, {layer}) for layer in bundle.layer_names}
    assert first == again == expected


def test_a_graph_is_checked_once(reads):
    for pooling in ("avg", "max", "avg"):
        check_graph(Bundle.load("alexnet"), "gradient", pooling)
    assert reads == [("gradient", "avg"), ("gradient", "max")]


def test_a_graph_that_is_not_sound_is_never_taken_for_one(reads, monkeypatch):
    def broken(*_):
        raise BundleError("It is not.")

    monkeypatch.setattr(Bundle, "read_graph", broken)
    for _ in range(2):
        with pytest.raises(BundleError, match="is not"):
            check_graph(Bundle.load("alexnet"), "gradient", "avg")


def test_a_pooling_that_there_is_not_is_said_to_be(reads):
    for function in (lambda *a: check_graph(a[0], "gradient", a[1]), smallest_sides):
        with pytest.raises(UnknownNameError, match="median"):
            function(Bundle.load("alexnet"), "median")
