"""Tasks: the graphs and the baselines compute the same from them."""

import numpy as np
import pytest
import torch

from nstbatch.benchmarks.contest.contestants import OnnxContestant, objective_of
from nstbatch.benchmarks.contest.judge import Judge, JudgeJob, serve_judge
from nstbatch.benchmarks.contest.worker import Worker
from nstbatch.benchmarks.options import Entry
from nstbatch.benchmarks.peers import peers
from nstbatch.benchmarks.peers.peers import Peer
from nstbatch.benchmarks.tasks.tasks import make_task, terms_of
from nstbatch.benchmarks.tasks.turns import AbsentError
from nstbatch.runtime.errors import ImageError, UnknownNameError
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.systems.style_transfer import StyleTransfer

STEPS = 5


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def task():
    return make_task("stylize", "squeezenet1_1", 64, batch=2)


@pytest.fixture(scope="module")
def expected(task, reference, one_torch_thread):
    """Losses before each step and the images after the last, by autograd and PyTorch's own Adam."""
    network, objective = reference("squeezenet1_1", task.pooling), objective_of(task)
    targets = network.targets(objective, task.references)
    image = torch.tensor(task.images, requires_grad=True)
    adam = torch.optim.Adam([image], lr=0.02, betas=(0.9, 0.99), eps=1e-8)
    losses = []
    for _ in range(STEPS):
        adam.zero_grad()
        loss = network.losses(objective, targets, image)
        loss.sum().backward()
        adam.step()
        with torch.no_grad():
            image.clamp_(0, 1)
        losses.append(loss.detach().numpy())
    return losses, image.detach().numpy()


def test_pictures_are_pictures_and_always_the_same(task):
    assert task.images.shape == (2, 3, 64, 64)
    assert task.references["scaled-style"].shape == (1, 3, 64, 64)
    assert task.images.dtype == np.float32
    assert 0 <= task.images.min() < 0.3 < 0.7 < task.images.max() <= 1
    assert not np.array_equal(task.images[0], task.images[1])
    again = make_task("stylize", "squeezenet1_1", 64, batch=2)
    assert np.array_equal(again.images, task.images)


def test_a_style_transfer_has_all_that_it_has_by_default(task):
    transfer = StyleTransfer("squeezenet1_1", device="cpu")
    objective = transfer.objective(StyleTransferOptions())
    assert task.terms == terms_of(objective)
    assert str(objective_of(task)) == str(objective)
    assert [term.kind for term in task.terms] == ["scaled-content", *["scaled-style"] * 4, "tv"]


def test_what_is_wrong_with_a_task_is_said():
    with pytest.raises(ImageError, match="8x8 pixels; fire5/concat needs at least 9"):
        make_task("stylize", "squeezenet1_1", 8, 1)
    with pytest.raises(UnknownNameError, match="vgg61"):
        make_task("stylize", "vgg61", 64, 1)


def test_the_graph_steps_as_pytorch_does(task, expected):
    contestant = OnnxContestant(task, Entry("cpu"), threads=1)
    for _ in range(STEPS):
        contestant.step()
    assert (contestant.device, contestant.precision) == ("cpu", "fp32")
    # Adam divides by the gradient's size, so a pixel with a tiny gradient may go either way.
    assert np.abs(contestant.images - expected[1]).mean() < 1e-4


def test_the_baseline_steps_as_pytorch_does(task, expected):
    peer = Peer(task, "torch", threads=1, device="cpu")
    for losses in expected[0]:
        peer.step()
        assert peer.losses == pytest.approx(losses, rel=1e-4)
    assert torch.get_num_threads() == 1
    assert np.abs(peer.images - expected[1]).mean() < 1e-4


def test_the_baseline_ends_at_the_deepest_layer_in_use(task):
    network = peers._features(task)
    names = dict(network.named_parameters())
    assert any("features.7." in name for name in names)  # fire5
    assert not any("features.9." in name or "classifier" in name for name in names)


def test_bf16_is_of_the_convolutions_alone(task, expected):
    peer = Peer(task, "torch-bf16", threads=1, device="cpu")
    peer.step()
    exact = expected[0][0]
    assert peer.losses.dtype == np.float32
    # The content is at its target, up to the rounding of bf16; elsewhere it is above 2.
    assert peer.losses == pytest.approx(exact, rel=0.05, abs=0.05)
    assert np.abs(peer.losses - exact).max() > 0
    # The total variation does not depend on a network.
    assert peer.losses[:, -1] == pytest.approx(exact[:, -1], rel=1e-5)


def test_the_compiled_baseline_is_compiled_whole(task, monkeypatch):
    compiled = {}

    def compile_(function, **options):
        compiled.update(options)
        return function

    monkeypatch.setattr(torch, "compile", compile_)
    peer = Peer(task, "torch-compile", threads=1, device="cpu")
    assert compiled == {"fullgraph": True}
    peer.step()
    assert peer.losses.shape == (2, 6)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_baseline_that_lacks_the_gpu_says_so(task):
    with pytest.raises(AbsentError, match="no GPU"):
        Peer(task, "torch", threads=1, device="cuda")


def test_the_baselines_products_are_in_their_precision(task, monkeypatch):
    seen = []
    monkeypatch.setattr(peers, "torch_products", lambda dtype, device, wait: seen.append(dtype))
    for name in ("torch", "torch-bf16"):
        Peer(task, name, threads=1, device="cpu").products()
    assert seen == [torch.float32, torch.bfloat16]


def test_a_picture_of_a_batch_has_its_own_references(task):
    second = task.picture(1)
    assert np.array_equal(second.images, task.images[1:])
    assert np.array_equal(
        second.references["scaled-content"], task.references["scaled-content"][1:]
    )
    assert np.array_equal(second.references["scaled-style"], task.references["scaled-style"])
    assert second.terms == task.terms


def test_the_judge_gives_the_mean_loss_of_the_pictures(task, expected):
    judge = Judge(task, threads=1)
    loss = judge.loss(task.images)
    assert loss == pytest.approx(expected[0][0].sum(axis=1).mean(), rel=1e-4)
    assert judge.loss(expected[1]) < loss
    with Worker(serve_judge, JudgeJob(task, {"cpu": task.images}, threads=1)) as worker:
        verdict = worker.answer()
    assert verdict.losses == {"cpu": pytest.approx(loss)}
    assert verdict.operations == judge.operations()
    assert verdict.activation_bytes == judge.activation_bytes()
