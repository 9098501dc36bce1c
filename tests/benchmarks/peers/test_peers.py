"""The baselines and the graphs agree: losses, gradients and steps of every verb."""

import numpy as np
import pytest

from nstbatch.benchmarks.contest.contestants import (
    OnnxContestant,
    objective_of,
    optimizer_of,
    targets_of,
)
from nstbatch.benchmarks.options import VERBS, Entry
from nstbatch.benchmarks.peers.peers import Peer
from nstbatch.benchmarks.tasks.tasks import LBFGSSettings, make_task, settings_of, terms_of
from nstbatch.runtime.descent.adam import Adam
from nstbatch.runtime.descent.lbfgs import LBFGS
from nstbatch.runtime.descent.normalized_gradient import NormalizedGradient
from nstbatch.runtime.engine.engine import Engine
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.graphs.link import GRADIENT, IMAGE, LOSSES, TARGET, WEIGHT, link
from nstbatch.runtime.systems.deepdream import DeepDream
from nstbatch.runtime.systems.reconstruction import Reconstruction
from nstbatch.runtime.systems.reconstruction_options import ReconstructionOptions
from nstbatch.runtime.systems.texture import Texture
from nstbatch.runtime.systems.texture_options import TextureOptions

MODEL, SIZE = "squeezenet1_1", 64


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tasks():
    return {verb: make_task(verb, MODEL, SIZE, batch=2) for verb in VERBS}


def graph_results(task):
    """Losses (N, T) and gradient of a task's first images, from the linked graph."""
    engine, objective = Engine(task.model, device="cpu", threads=1), objective_of(task)
    inputs = {**targets_of(task, engine, objective), IMAGE: task.images}
    for weight, term in objective.weighted:
        target = inputs.get(TARGET + term.name)
        inputs[WEIGHT + term.name] = term.graph_weight(weight, target, len(task.images))
    graph = link(engine.bundle.read_graph("gradient", task.pooling), objective.terms, 2)
    shapes = {name: values.shape for name, values in inputs.items()}
    session = open_session(
        graph, shapes, engine.provider, weights_folder=engine.bundle.path, threads=1
    )
    return session.run(inputs)


@pytest.mark.parametrize("verb", VERBS)
def test_losses_and_gradients_are_those_of_the_graph(tasks, verb):
    task = tasks[verb]
    peer = Peer(task, "torch", threads=1, device="cpu")
    peer.step()
    results = graph_results(task)
    assert peer.losses == pytest.approx(results[LOSSES], rel=1e-4, abs=1e-6)
    ours, theirs = results[GRADIENT], peer._image.grad.numpy()
    for one, other in zip(ours, theirs, strict=True):
        assert np.linalg.norm(one - other) < 1e-4 * np.linalg.norm(other)


# Adam and a normalised gradient both move a pixel without a clear gradient this way or that, so the
# mean is compared. L-BFGS: theirs knows of no bounds, which in three steps hardly matters.
@pytest.mark.parametrize("verb", VERBS)
def test_steps_are_those_of_the_graph(tasks, verb):
    task = tasks[verb]
    peer, contestant = Peer(task, "torch", 1, "cpu"), OnnxContestant(task, Entry("cpu"), 1)
    for _ in range(3):
        peer.step()
        contestant.step()
    moved = np.abs(contestant.images - task.images).mean()
    assert moved > 1e-4
    assert np.abs(peer.images - contestant.images).mean() < 0.02 * moved
    assert 0 <= peer.images.min() < peer.images.max() <= 1


@pytest.mark.parametrize("verb", ["texture", "dream"])
def test_pictures_of_a_batch_do_not_know_of_each_other(tasks, verb):
    task = tasks[verb]
    together, alone = Peer(task, "torch", 1, "cpu"), Peer(task.picture(1), "torch", 1, "cpu")
    for _ in range(3):
        together.step()
        alone.step()
    assert np.abs(together.images[1:] - alone.images).mean() < 1e-4


@pytest.mark.parametrize("optimizer", [Adam(0.1), LBFGS(0.5, 7), NormalizedGradient(0.01)])
def test_optimisers_come_back_as_they_were_written_down(optimizer):
    assert optimizer_of(settings_of(optimizer)) == optimizer


def test_a_texture_has_what_it_has_by_default(tasks):
    objective = Texture(MODEL, device="cpu").objective(TextureOptions())
    assert tasks["texture"].terms == terms_of(objective)
    assert isinstance(tasks["texture"].optimizer, LBFGSSettings)
    assert str(objective_of(tasks["texture"])) == str(objective)


def test_a_reconstruction_has_the_deepest_layer_and_both_priors(tasks):
    task = tasks["reconstruct"]
    deepest = Reconstruction(MODEL, device="cpu").layers(ReconstructionOptions())[-1]
    assert [(term.kind, term.layer) for term in task.terms] == [
        ("content", deepest.name),
        ("alpha-norm", None),
        ("tv", None),
    ]
    assert task.terms[1].attributes == (("alpha", 6.0),)
    assert task.terms == terms_of(objective_of(task))


def test_a_dream_is_of_all_channels_of_its_layer(tasks):
    (term,) = tasks["dream"].terms
    layer = DeepDream(MODEL, device="cpu").engine.bundle.layer("fire7/concat")
    assert (term.kind, term.layer) == ("energy", layer.name)
    assert tasks["dream"].given["energy"].shape == (1, layer.channels, 1, 1)
