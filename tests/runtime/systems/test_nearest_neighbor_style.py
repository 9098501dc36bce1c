"""Nearest-neighbour style transfer against PyTorch, and as a run of many parts."""

import threading
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch
from neural_neighbors import NeuralNeighbors

from nstbatch.runtime.descent.checkpoints import CheckpointFile
from nstbatch.runtime.descent.loop import Bounds, StopReason
from nstbatch.runtime.descent.pyramid import Level
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.errors import ImageError, UnknownNameError, UsageError
from nstbatch.runtime.names import GRADIENT, IMAGE, LOSSES, TARGET, WEIGHT
from nstbatch.runtime.objectives.laplacian import Laplacian
from nstbatch.runtime.pictures.images import Picture
from nstbatch.runtime.pictures.sizes import to_nchw
from nstbatch.runtime.pictures.synthetic import photo_like
from nstbatch.runtime.style.nearest_neighbor_options import NearestNeighborOptions
from nstbatch.runtime.style.paintings import Painting, Style
from nstbatch.runtime.style.regions import Masks, read_regions
from nstbatch.runtime.systems.nearest_neighbor_style import NearestNeighborStyle
from nstbatch.runtime.systems.style_system import Given

QUICK = NearestNeighborOptions(size=64, scales=2, iterations=6)
POOLING = QUICK.pooling
LEVEL = Level(60, 72, margin=0, steps=1)


def picture(height: int = 60, width: int = 72, seed: int = 0) -> np.ndarray:
    return photo_like(np.random.default_rng(seed), height, width).transpose(1, 2, 0)


@pytest.fixture(scope="module")
def transfer() -> NearestNeighborStyle:
    return NearestNeighborStyle("squeezenet1_1", device="cpu", threads=1)


def parts_of_level(transfer, options):
    """The objective, the targets of ours, and the pictures they were made from."""
    photo, sought, painting = (to_nchw(picture(seed=seed)) for seed in (0, 1, 2))
    objective = transfer.objective(options)
    given = Given(Picture(picture()), [Painting(picture(seed=2))], 1.0, {}, None, picture(), None)
    targets = transfer._targets(objective, LEVEL, photo, sought, given, options)
    return objective, targets, photo, sought, painting


def in_pytorch(reference, transfer, options):
    network = reference("squeezenet1_1", POOLING)
    return NeuralNeighbors(network, transfer._layers(options), options.content_weight)


# --- PyTorch ----------------------------------------------------------------------------------


def test_targets_equal_those_of_a_brute_force_search(transfer, reference):
    objective, targets, _, sought, painting = parts_of_level(transfer, QUICK)
    peer = in_pytorch(reference, transfer, QUICK)
    expected = peer.targets(torch.tensor(sought), torch.tensor(painting))
    expected = expected / expected.norm(dim=1, keepdim=True)
    found = targets[TARGET + objective.terms[0].name]
    # A column of another place would be far away.
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


def test_losses_and_gradient_are_those_of_autograd(transfer, reference):
    objective, targets, photo, sought, painting = parts_of_level(transfer, QUICK)
    peer = in_pytorch(reference, transfer, QUICK)
    matched = peer.targets(torch.tensor(sought), torch.tensor(painting))
    losses, gradient = peer.gradient(torch.tensor(sought), matched, torch.tensor(photo))
    inputs = {IMAGE: sought, **targets}
    for weight, term in objective.weighted:
        inputs[WEIGHT + term.name] = term.graph_weight(weight, None, 1)
    shapes = {name: values.shape for name, values in inputs.items()}
    session = transfer.engine._sessions.step(
        transfer.engine.provider, objective.terms, (), POOLING, shapes
    )
    ours = session.run(inputs)
    np.testing.assert_allclose(ours[LOSSES][0], losses, rtol=1e-4)
    difference = np.linalg.norm(ours[GRADIENT] - gradient.numpy())
    assert difference <= 1e-4 * np.linalg.norm(gradient.numpy())


def test_fifty_steps_go_as_in_pytorch(transfer, reference):
    objective, targets, photo, sought, painting = parts_of_level(transfer, QUICK)
    peer, optimizer = in_pytorch(reference, transfer, QUICK), transfer.optimizer(QUICK)
    matched = peer.targets(torch.tensor(sought), torch.tensor(painting))
    curve, _ = peer.descend(
        torch.tensor(sought), matched, torch.tensor(photo), 50, optimizer.learning_rate
    )
    laplacian = Laplacian(*sought.shape[2:])
    packed = laplacian.pack(sought)
    descent = transfer.engine.descent(
        objective,
        targets,
        packed,
        optimizer,
        optimizer.initial_state(packed.shape),
        pooling=POOLING,
        bounds=Bounds(),
        views=laplacian.views,
    )
    ours = [descent.evaluate()[0], *(descent.step()[0] for _ in range(50))]
    descent.close()
    totals = np.sum(curve, axis=1)
    assert totals[-1] < 0.8 * totals[0]
    np.testing.assert_allclose(np.sum(ours, axis=1), totals, rtol=0.02)


# --- A run ------------------------------------------------------------------------------------


def test_a_run_has_the_photos_size_and_the_paintings_colours(transfer):
    photo, painting, seen = picture(90, 120), picture(seed=3), []
    options = NearestNeighborOptions(size=80, scales=2, iterations=8)
    result = transfer(photo, painting, options, progress=seen.append)
    assert result.image.shape == (60, 80, 3)
    assert (result.steps, result.reason) == (8, StopReason.FINISHED)
    assert {(each.height, each.width) for each in seen} == {(30, 40), (60, 80)}
    assert result.losses.keys() == {"matched-columns", "self-similarity", "total"}
    np.testing.assert_allclose(result.image.mean((0, 1)), painting.mean((0, 1)), atol=0.05)
    assert seen[-1].losses["total"] < seen[len(seen) // 2].losses["total"]


def test_a_run_that_is_killed_and_resumed_is_the_same_to_the_bit(transfer, tmp_path, monkeypatch):
    """Also at the second size, whose targets depend on the picture that it began with."""
    path = tmp_path / "run.npz"
    monkeypatch.setattr(CheckpointFile.__init__, "__kwdefaults__", {"every": 0, "clock": float})
    clock = count()
    monkeypatch.setitem(CheckpointFile.__init__.__kwdefaults__, "clock", lambda: next(clock))
    whole = transfer(picture(), picture(seed=2), QUICK)
    for steps in (2, 3):
        asked = iter([False] * steps + [True])
        stopped = transfer(
            picture(), picture(seed=2), QUICK, checkpoint=path, stop=lambda a=asked: next(a)
        )
        assert stopped.reason is StopReason.STOPPED
        assert path.exists()
    resumed = transfer(picture(), picture(seed=2), QUICK, checkpoint=path)
    assert resumed.reason is StopReason.FINISHED
    np.testing.assert_array_equal(resumed.image, whole.image)
    assert not path.exists()


def test_pictures_of_several_threads_are_stepped_together():
    together = NearestNeighborStyle("squeezenet1_1", device="cpu", threads=1)
    together.engine.share(2)
    found, largest = {}, []
    opened = together.engine._sessions.step
    together.engine._sessions.step = lambda *given: (
        largest.append(given[4][IMAGE][0]) or opened(*given)
    )

    def paint(seed):
        found[seed] = together(picture(seed=seed), picture(seed=2), QUICK)

    threads = [threading.Thread(target=paint, args=(seed,)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(largest) == 2
    alone = NearestNeighborStyle("squeezenet1_1", device="cpu", threads=1)
    for seed, result in found.items():
        expected = alone(picture(seed=seed), picture(seed=2), QUICK)
        # Adam moves values whose gradient is all but zero by whole steps, so single pixels differ.
        assert np.abs(result.image - expected.image).mean() < 1e-2
        assert result.losses["total"] == pytest.approx(expected.losses["total"], rel=1e-2)


def test_half_precision_comes_to_nearly_the_same_loss(transfer):
    half = NearestNeighborStyle("squeezenet1_1", device="cpu", threads=1)
    half.engine.provider = Provider("cpu", "fp16")
    results = [each(picture(), picture(seed=2), QUICK) for each in (transfer, half)]
    totals = [result.losses["total"] for result in results]
    assert totals[1] == pytest.approx(totals[0], rel=0.02)


def test_more_stylization_is_further_from_the_photo(transfer):
    photo, painting = picture(), picture(seed=2)
    near, far = (
        transfer(photo, painting, NearestNeighborOptions(**vars(QUICK) | {"stylization": share}))
        for share in (0.0, 1.0)
    )
    assert np.abs(near.image - far.image).mean() > 1e-3


@pytest.mark.parametrize(("size", "measured"), [(256, 348), (512, 710)])
def test_the_estimate_of_memory_is_near_what_was_measured(transfer, size, measured):
    """Measured in MiB: docs/decisions/0028-nearest-neighbors.md."""
    estimate = transfer.peak_memory(NearestNeighborOptions(size=size), (size * 2 // 3, size))
    assert estimate / 2**20 == pytest.approx(measured, rel=0.2)


# --- Options ----------------------------------------------------------------------------------


def test_the_coarsest_style_layers_are_left_out_unless_named():
    vgg = NearestNeighborStyle("vgg16", device="cpu", threads=1)
    assert vgg._layers(NearestNeighborOptions()) == ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
    named = NearestNeighborOptions(layers=("relu5_1", "relu1_1", "relu5_1"), content_weight=0)
    assert vgg.objective(named).layers == ["relu5_1", "relu1_1"]


@pytest.mark.parametrize(
    "options",
    [
        {"stylization": 1.1},
        {"stylization": -0.1},
        {"content_weight": -1},
        {"layers": "relu1_1"},
        {"layers": ()},
        {"iterations": 0},
        {"learning_rate": 0},
        {"tolerance": -1},
        {"init": "grey"},
    ],
    ids=str,
)
def test_an_option_that_is_out_of_range_is_named(options):
    with pytest.raises((UsageError, UnknownNameError), match=next(iter(options))):
        NearestNeighborOptions(**options)


def test_presets_change_options_of_their_own():
    assert NearestNeighborOptions.preset("default") == NearestNeighborOptions()
    assert NearestNeighborOptions.preset("fine", scales=2).scales == 2
    with pytest.raises(UnknownNameError, match="Did you mean 'fast'"):
        NearestNeighborOptions.preset("fsat")


def test_what_cannot_be_painted_is_refused(transfer):
    with pytest.raises(UnknownNameError, match="absent"):
        transfer.objective(NearestNeighborOptions(layers=("absent",)))
    with pytest.raises(UsageError, match="init_image"):
        transfer(picture(), picture(), QUICK, init_image=picture())
    with pytest.raises(ImageError, match="style"):
        transfer.check_style(picture(3, 3), QUICK)
    with pytest.raises(ImageError, match="picture"):
        transfer(picture(3, 3), picture(), NearestNeighborOptions(size=3))


# --- Several styles ---------------------------------------------------------------------------


def test_columns_are_sought_in_all_styles(transfer):
    one, two = picture(seed=1), picture(seed=2)
    both = transfer(picture(), [one, two], QUICK).image
    assert not np.array_equal(both, transfer(picture(), one, QUICK).image)


def test_styles_have_no_weights(transfer):
    with pytest.raises(UsageError, match="without weights"):
        transfer(picture(), [picture(seed=1), Style(picture(seed=2), 2)], QUICK)


# --- Regions ----------------------------------------------------------------------------------

SHALLOW = replace(QUICK, layers=("relu_conv1", "fire3/concat"))  # they see 3 and 23 pixels


def halves(left, right):
    pixels = np.zeros((60, 72, 3), np.float32)
    pixels[:, :36], pixels[:, 36:] = left, right
    return pixels


def columns_drawn_to(transfer, style, regions, of_style):
    """The columns that the picture is drawn to, (D, h, w)."""
    photo, sought = to_nchw(picture(seed=0)), to_nchw(picture(seed=1))
    objective, painting = transfer.objective(SHALLOW), Painting(style, regions=of_style)
    given = Given(Picture(picture()), [painting], 1.0, regions, None, picture(), None)
    targets = transfer._targets(objective, LEVEL, photo, sought, given, SHALLOW)
    return targets[TARGET + objective.terms[0].name][0]


def test_neighbours_are_sought_in_the_same_region_of_the_style(transfer):
    regions = read_regions(halves((1, 0, 0), (0, 0, 1)), (60, 72, 3), "photo")
    painting = picture(seed=2)
    other = painting.copy()
    other[:, :18] = picture(seed=3)[:, :18]  # columns of the right half do not see so far
    before, after = (columns_drawn_to(transfer, p, regions, regions) for p in (painting, other))
    np.testing.assert_array_equal(after[:, :, 9:], before[:, :, 9:])
    assert np.abs(after[:, :, :9] - before[:, :, :9]).max() > 0.01
    before, after = (columns_drawn_to(transfer, p, {}, None) for p in (painting, other))
    assert np.abs(after[:, :, 9:] - before[:, :, 9:]).max() > 0.01


def test_places_without_a_style_keep_the_photos_columns(transfer):
    white = {"white": halves(1, 0)[..., 0]}
    found = columns_drawn_to(transfer, picture(seed=2), white, None)
    (matching, *_) = transfer.objective(SHALLOW).terms
    targets = transfer.engine.targets((matching,), to_nchw(picture(seed=0)), POOLING)
    (own,) = targets[TARGET + matching.name]
    own = own / np.linalg.norm(own, axis=0)
    np.testing.assert_allclose(found[:, :, 9:], own[:, :, 9:], atol=1e-6)
    assert np.abs(found[:, :, :9] - own[:, :, :9]).max() > 0.1


def test_masks_are_followed_and_content_has_none(transfer):
    mask = halves((1, 0, 0), (0, 0, 1))
    style = Style(picture(seed=2), mask=mask)
    result = transfer(picture(), style, QUICK, masks=Masks(mask))
    plain = transfer(picture(), picture(seed=2), QUICK)
    assert result.image.shape == plain.image.shape
    assert np.abs(result.image - plain.image).max() > 0.01
    with pytest.raises(UsageError, match="has no mask"):
        transfer(picture(), style, QUICK, masks=Masks(mask, halves(1, 0)))
