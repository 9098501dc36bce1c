"""Style transfer as a program that embeds it meets it."""

from dataclasses import replace
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
import torch
from first_step import first_step
from PIL import Image

from nstbatch.exporter.checks.pictures import photo_like
from nstbatch.runtime.descent.loop import StopReason
from nstbatch.runtime.devices.devices import check
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.engine import network_sessions
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.errors import ImageError, UnknownNameError, UsageError
from nstbatch.runtime.objectives.terms import CONTENT_TARGET
from nstbatch.runtime.pictures.colours import grey, luminance, recolored
from nstbatch.runtime.pictures.images import Picture, read
from nstbatch.runtime.pictures.sizes import fit_long_side, resize
from nstbatch.runtime.style.paintings import Style, read_paintings
from nstbatch.runtime.style.regions import Masks
from nstbatch.runtime.style.style_objective import BY_DEPTH, default_weights
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.systems.style_system import Given
from nstbatch.runtime.systems.style_transfer import StyleTransfer

QUICK = StyleTransferOptions(size=64, iterations=3, scales=2)
# Hardly a step: what comes out is what the run started from.
STANDING_STILL = replace(QUICK, scales=1, iterations=1, learning_rate=1e-6)
USABLE_DEVICES = [device for device in ("cpu", "openvino") if check(device).usable]


def picture(height, width, seed=0):
    """(H, W, 3), like a photo, in whole 255ths."""
    image = photo_like(np.random.default_rng(seed), height, width).transpose(1, 2, 0)
    return np.ascontiguousarray(np.rint(image * 255) / 255, dtype=np.float32)


PHOTO, PAINTING = picture(80, 100), picture(90, 70, seed=1)


@pytest.fixture(scope="module")
def transfer() -> StyleTransfer:
    return StyleTransfer("alexnet", device="cpu", threads=1)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A photo, one with an alpha, and a painting."""
    folder = tmp_path_factory.mktemp("pictures")
    levels = np.rint(PHOTO * 255).astype(np.uint8)
    alpha = np.tile(np.linspace(10, 255, 100).astype(np.uint8), (80, 1))
    Image.fromarray(levels).save(folder / "photo.png")
    Image.fromarray(np.dstack([levels, alpha])).save(folder / "alpha.png")
    Image.fromarray(np.rint(PAINTING * 255).astype(np.uint8)).save(folder / "painting.png")
    return folder


# --- What comes out ---------------------------------------------------------------------------


def test_three_lines_are_enough(files):
    reports = []
    transfer = StyleTransfer("alexnet", device="cpu")
    result = transfer(files / "photo.png", files / "painting.png", QUICK, progress=reports.append)
    image = result.image
    assert image.shape == (51, 64, 3)
    assert image.dtype == np.float32
    assert image.flags.c_contiguous
    assert 0 <= image.min() < image.max() <= 1
    assert result.alpha is None
    assert result.reason is StopReason.FINISHED
    assert result.steps == 3
    assert (result.provider, result.precision) == ("cpu", "fp32")
    assert result.seconds > 0
    assert result.losses == reports[-1].losses


def test_the_picture_takes_on_the_style(transfer):
    reports = []
    options = replace(QUICK, iterations=30)
    result = transfer(PHOTO, PAINTING, options, progress=reports.append)

    def style_loss(losses):
        return sum(loss for name, loss in losses.items() if name.startswith("scaled-style/"))

    assert style_loss(result.losses) < 0.5 * style_loss(reports[0].losses)
    assert result.losses["total"] == pytest.approx(sum(result.losses.values()) / 2)


def test_the_content_weight_keeps_the_content(transfer):
    def content_loss(weight):
        options = replace(QUICK, iterations=20, content_weight=weight)
        return transfer(PHOTO, PAINTING, options).losses["scaled-content/relu3"] / weight

    assert content_loss(50) < 0.5 * content_loss(1)


def test_paths_arrays_and_pictures_are_the_same(transfer, files):
    expected = transfer(PHOTO, PAINTING, QUICK).image.tobytes()
    photo, painting = files / "photo.png", files / "painting.png"
    for arguments in (
        (photo, painting),
        (str(photo), PAINTING),
        (PHOTO.astype(np.float64), PAINTING),
        (np.asfortranarray(PHOTO), Picture(PAINTING)),
        (Image.open(photo), BytesIO(painting.read_bytes())),
        (torch.from_numpy(PHOTO), torch.from_numpy(PAINTING)),
    ):
        assert transfer(*arguments, QUICK).image.tobytes() == expected


def test_numbers_of_numpy_are_as_good(transfer, tmp_path):
    options = replace(
        QUICK, size=np.int64(QUICK.size), iterations=np.int32(2), tv_weight=np.float32(130)
    )
    result = transfer(PHOTO, PAINTING, options, checkpoint=tmp_path / "run")
    expected = transfer(PHOTO, PAINTING, replace(QUICK, iterations=2)).image
    np.testing.assert_array_equal(result.image, expected)


def test_options_of_another_kind_are_refused(transfer):
    with pytest.raises(UsageError, match=r"options must be StyleTransferOptions"):
        transfer(PHOTO, PAINTING, {"size": 64})


def test_arrays_are_left_as_they_are(transfer):
    photo, painting = PHOTO.copy(), PAINTING.copy()
    transfer(photo, painting, QUICK)
    np.testing.assert_array_equal(photo, PHOTO)
    np.testing.assert_array_equal(painting, PAINTING)


def test_alpha_is_kept_at_the_size_of_the_image(transfer, files):
    result = transfer(files / "alpha.png", files / "painting.png", QUICK)
    assert result.alpha.shape == result.image.shape[:2] == (51, 64)
    expected = resize(read(files / "alpha.png").alpha, (51, 64))
    np.testing.assert_allclose(result.alpha, expected, atol=1e-6)
    opaque = transfer(files / "photo.png", files / "painting.png", QUICK)
    np.testing.assert_array_equal(result.image, opaque.image)


# --- Progress and stopping --------------------------------------------------------------------


@pytest.mark.parametrize(("iterations", "scales"), [(1, 1), (5, 2), (2, 3), (7, 3)])
def test_progress_goes_up_to_the_end(transfer, iterations, scales):
    reports = []
    options = replace(QUICK, size=96, iterations=iterations, scales=scales)
    result = transfer(PHOTO, PAINTING, options, progress=reports.append)
    assert reports[0].step == 0
    assert reports[-1].step == result.steps == iterations
    assert {report.steps for report in reports} == {iterations}
    assert {report.scales for report in reports} == {scales}
    for earlier, later in pairwise(reports):
        assert later.step - earlier.step == (0 if later.scale > earlier.scale else 1)
        assert later.scale - earlier.scale in (0, 1)
        assert (later.width > earlier.width) == (later.scale > earlier.scale)
        assert later.share > earlier.share
    assert {report.scale for report in reports} == set(range(1, scales + 1))
    assert reports[0].share > 0  # the first size has been opened
    assert reports[-1].share == 1
    assert (reports[-1].height, reports[-1].width) == result.image.shape[:2] == (77, 96)
    layers = [f"scaled-style/relu{layer}" for layer in range(1, 6)]
    assert list(reports[0].losses) == ["scaled-content/relu3", *layers, "tv", "total"]


@pytest.mark.parametrize(("after", "height"), [(0, 36), (1, 36), (4, 51)])
def test_a_run_can_be_stopped(transfer, after, height):
    reports = []
    options = replace(QUICK, iterations=6)
    result = transfer(
        PHOTO,
        PAINTING,
        options,
        progress=reports.append,
        stop=lambda: reports[-1].step >= after,
    )
    assert result.reason is StopReason.STOPPED
    assert result.steps == after
    assert result.image.shape[0] == height
    assert result.losses == reports[-1].losses


def test_a_run_that_is_stopped_early_hands_back_the_whole_picture(transfer):
    options = replace(QUICK, size=128, scales=3, iterations=6, init="photo")
    result = transfer(PHOTO, PAINTING, options, stop=lambda: True)
    np.testing.assert_allclose(result.image, resize(PHOTO, (51, 64)), atol=1e-6)


def test_a_run_that_fails_hands_back_the_last_finite_picture(monkeypatch):
    transfer = StyleTransfer("alexnet", device="cpu", threads=1)
    real = transfer.engine.targets

    def targets(terms, images, pooling, **options):
        found = real(terms, images, pooling, **options)
        return {name: values * np.float32(np.nan) for name, values in found.items()}

    monkeypatch.setattr(transfer.engine, "targets", targets)
    result = transfer(PHOTO, PAINTING, replace(QUICK, scales=1, init="photo"))
    assert result.reason is StopReason.NON_FINITE
    assert result.steps == 0
    np.testing.assert_allclose(result.image, resize(PHOTO, (51, 64)), atol=1e-6)


def test_the_fine_sizes_take_most_of_the_steps(transfer):
    """As docs/decisions/0005-default-schedule.md and docs/usage.md say."""
    options = StyleTransferOptions()
    photo, layers = np.zeros((200, 300, 3), np.float32), transfer.objective(options).layers
    levels = transfer._levels(photo, layers, options)
    steps = [(level.width, level.steps) for level in levels]
    assert steps == [(181, 27), (256, 39), (362, 55), (512, 79)]


# --- Where it starts --------------------------------------------------------------------------


def test_a_run_starts_from_the_photo(transfer):
    image = transfer(PHOTO, PAINTING, replace(STANDING_STILL, init="photo")).image
    np.testing.assert_allclose(image, resize(PHOTO, (51, 64)), atol=1e-5)


def test_a_run_starts_from_noise(transfer):
    options = replace(STANDING_STILL, init="noise")
    images = [transfer(PHOTO, PAINTING, replace(options, seed=seed)).image for seed in (0, 1)]
    for image in images:
        assert image.mean() == pytest.approx(0.5, abs=0.02)
        assert image.std() == pytest.approx(1 / np.sqrt(12), abs=0.02)
    assert abs(np.corrcoef(images[0].ravel(), images[1].ravel())[0, 1]) < 0.05


def test_a_run_starts_from_the_photo_in_the_colours_of_the_style(transfer):
    image = transfer(PHOTO, PAINTING, STANDING_STILL).image
    small = resize(PAINTING, fit_long_side(*PAINTING.shape[:2], 64))
    np.testing.assert_allclose(image, recolored(resize(PHOTO, (51, 64)), small), atol=1e-4)
    assert np.abs(image.mean((0, 1)) - PAINTING.mean((0, 1))).max() < 0.02
    assert np.abs(PHOTO.mean((0, 1)) - PAINTING.mean((0, 1))).max() > 0.04


def test_a_run_starts_from_another_image(transfer, files):
    options = replace(STANDING_STILL, init="image")
    for other in (PAINTING, files / "painting.png"):
        image = transfer(PHOTO, PAINTING, options, init_image=other).image
        np.testing.assert_allclose(image, resize(PAINTING, (51, 64)), atol=1e-5)


@pytest.mark.parametrize("device", USABLE_DEVICES)
@pytest.mark.parametrize(
    "options",
    [
        replace(QUICK, iterations=8, optimizer="adam", init="noise", seed=7),
        replace(QUICK, iterations=8, optimizer="lbfgs"),
    ],
    ids=lambda options: options.optimizer,
)
def test_two_runs_with_one_seed_give_identical_bytes(device, options):
    first, second = (StyleTransfer("alexnet", device=device) for _ in range(2))
    expected = first(PHOTO, PAINTING, options)
    for result in (second(PHOTO, PAINTING, options), first(PHOTO, PAINTING, options)):
        assert result.image.tobytes() == expected.image.tobytes()
        assert result.losses == expected.losses


# --- The objective ----------------------------------------------------------------------------


def test_the_weights_of_layers_are_shares(transfer):
    options = StyleTransferOptions(
        content_weight=3,
        style_weight=10,
        tv_weight=0,
        content_layers=("relu2", "relu4"),
        style_layers={"relu1": 3, "relu3": 1},
    )
    assert transfer.objective(options).weights == {
        "scaled-content/relu2": 1.5,
        "scaled-content/relu4": 1.5,
        "scaled-style/relu1": 7.5,
        "scaled-style/relu3": 2.5,
    }


def test_by_default_the_layers_of_the_bundle_share_by_depth(transfer):
    options = StyleTransferOptions()
    weights = transfer.objective(options).weights
    shares = dict(zip(transfer.engine.bundle.style_layers, BY_DEPTH, strict=True))
    assert weights.pop("scaled-content/relu3") == options.content_weight
    assert weights.pop("tv") == options.tv_weight
    assert weights == pytest.approx(
        {
            f"scaled-style/{layer}": options.style_weight * share / sum(BY_DEPTH)
            for layer, share in shares.items()
        }
    )


def test_a_network_with_fewer_layers_gets_weights_in_between():
    weights = default_weights(("a", "b", "c"), "scaled-mse")
    assert weights == pytest.approx(dict(zip("abc", BY_DEPTH[::2], strict=True)))
    assert default_weights(("a",), "scaled-mse") == pytest.approx({"a": BY_DEPTH[0]})
    between = list(default_weights(tuple("abcd"), "scaled-mse").values())
    assert BY_DEPTH[2] < between[1] < BY_DEPTH[1]


def test_the_preset_gatys_has_the_plain_losses_and_equal_layers(transfer):
    options = StyleTransferOptions.preset("gatys")
    weights = transfer.objective(options).weights
    assert weights.pop("content/relu3") == options.content_weight
    assert weights.pop("tv") == options.tv_weight
    each = options.style_weight / 5
    assert weights == {f"style/{layer}": each for layer in transfer.engine.bundle.style_layers}


def test_a_content_layer_named_twice_counts_once(transfer):
    options = replace(QUICK, iterations=1, content_layers=("relu2", "relu2"))
    result = transfer(PHOTO, PAINTING, options)
    assert "scaled-content/relu2" in result.losses
    assert transfer.objective(options).weights["scaled-content/relu2"] == options.content_weight


# --- What photos share ------------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch):
    """Sizes of the images of all sessions that are opened from now on."""
    monkeypatch.setenv("NSTBATCH_CACHE", "off")  # a painting that is known needs no session
    sizes = []

    def recorded(model, shapes, *args, **options):
        sizes.append(shapes["image"][2:])
        return open_session(model, shapes, *args, **options)

    monkeypatch.setattr(network_sessions, "open_session", recorded)
    return sizes


def test_photos_of_one_shape_open_no_new_sessions(opened):
    transfer = StyleTransfer("alexnet", device="cpu", threads=1)
    options = StyleTransferOptions(size=128, scales=4, iterations=4)
    transfer(picture(60, 80), PAINTING, options)
    assert len(opened) == 4 * options.scales
    transfer(picture(60, 80, seed=2), PAINTING, options)
    transfer(picture(90, 120, seed=3), PAINTING, options)  # another size of the same shape
    assert len(opened) == 4 * options.scales


def test_a_painting_that_is_known_opens_no_session(opened, monkeypatch, tmp_path):
    monkeypatch.setenv("NSTBATCH_CACHE", str(tmp_path))
    options, counts = replace(QUICK, iterations=1), []
    for painting in (PAINTING, PAINTING, PAINTING[::-1]):
        opened.clear()
        StyleTransfer("alexnet", device="cpu", threads=1)(PHOTO, painting, options)
        counts.append(len(opened))
    assert counts == [4 * options.scales, 3 * options.scales, 4 * options.scales]


def test_a_painting_is_looked_at_once_for_every_size(monkeypatch):
    transfer, seen = StyleTransfer("alexnet", device="cpu", threads=1), []
    real = transfer.engine.targets

    def targets(terms, images, pooling, **options):
        seen.append(({term.kind for term in terms}, max(images.shape[2:])))
        return real(terms, images, pooling, **options)

    monkeypatch.setattr(transfer.engine, "targets", targets)

    def looked_at():
        sizes = [size for kinds, size in seen if kinds == {"scaled-style"}]
        seen.clear()
        return sizes

    transfer(PHOTO, PAINTING, QUICK)
    assert looked_at() == [45, 64]
    transfer(picture(80, 100, seed=2), PAINTING, QUICK)
    transfer(picture(100, 80, seed=3), PAINTING, QUICK)
    assert looked_at() == []
    transfer(PHOTO, PAINTING, replace(QUICK, pooling="avg"))
    assert looked_at() == [45, 64]
    transfer(PHOTO, PAINTING[::-1], QUICK)
    assert looked_at() == [45, 64]
    transfer.engine.provider = Provider("cpu", "bf16")  # its targets are in bf16 too
    transfer(PHOTO, PAINTING, QUICK)
    with transfer.engine.in_fp32():
        transfer(PHOTO, PAINTING, QUICK)
    assert looked_at() == [45, 64]


# --- What is refused, and what is not ---------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2000, 3), (30, 500)])
def test_pictures_that_are_too_small_are_refused_by_their_size(transfer, height, width):
    small = np.full((height, width, 3), 0.5, np.float32)
    for arguments, what in (((small, PAINTING), "picture"), ((PHOTO, small), "style")):
        with pytest.raises(ImageError, match=f"The {what} is {width}x{height} pixels; relu5 needs"):
            transfer(*arguments, QUICK)
    with pytest.raises(ImageError, match=f"The style is {width}x{height} pixels; relu5 needs"):
        transfer.check_style(small, QUICK)


def test_a_size_that_leaves_too_little_is_refused(transfer):
    with pytest.raises(ImageError, match=r"at the size asked for is 64x16 pixels; .* at least 31"):
        transfer(picture(100, 400), PAINTING, QUICK)


def test_the_smallest_picture_works(transfer):
    transfer.check_style(picture(31, 31), QUICK)
    result = transfer(picture(31, 31), picture(31, 31, seed=1), replace(QUICK, size=31))
    assert result.image.shape == (31, 31, 3)
    assert result.reason is StopReason.FINISHED


@pytest.mark.parametrize("shape", [(40, 1200), (1200, 40)])
def test_a_long_and_narrow_painting_is_seen_as_a_whole(transfer, shape):
    result = transfer(PHOTO, picture(*shape, seed=1), QUICK)
    assert result.reason is StopReason.FINISHED
    assert result.steps == 3


def test_sizes_too_small_for_the_network_are_left_out(transfer):
    reports = []
    options = replace(QUICK, iterations=4, scales=6)
    transfer(PHOTO, PAINTING, options, progress=reports.append)
    assert {(report.height, report.scales) for report in reports} == {(36, 2), (51, 2)}


@pytest.mark.parametrize(
    "layers", [{"style_layers": {"relu9": 1.0}}, {"content_layers": ("relu3", "relu9")}]
)
def test_an_unknown_layer_is_refused_with_the_right_names(transfer, layers):
    with pytest.raises(UnknownNameError, match=r"layer of alexnet: 'relu9'.*conv1, relu1.*pool5"):
        transfer(PHOTO, PAINTING, replace(QUICK, **layers))


def test_an_initial_image_goes_with_its_option(transfer):
    for options, image in ((QUICK, PHOTO), (replace(QUICK, init="image"), None)):
        with pytest.raises(UsageError, match="init='image'"):
            transfer(PHOTO, PAINTING, options, init_image=image)


def test_a_style_without_any_weight_is_refused(transfer):
    with pytest.raises(UsageError, match="At least one style layer"):
        transfer(PHOTO, PAINTING, replace(QUICK, style_layers={"relu1": 0.0}))


BAD_ARRAYS = {
    "whole numbers": (PHOTO * 255).astype(np.int64),
    "0 to 255": PHOTO * 255,
    "below 0": PHOTO - 0.5,
    "nan": np.where(PHOTO > 0.5, np.nan, PHOTO),
    "two channels": PHOTO[..., :2],
    "channels first": PHOTO.transpose(2, 0, 1),
    "batch": PHOTO[None],
    "empty": PHOTO[:0],
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_arrays_of_something_else_are_refused(transfer, name):
    for arguments in ((BAD_ARRAYS[name], PAINTING), (PHOTO, BAD_ARRAYS[name])):
        with pytest.raises(ImageError, match=r"An array must"):
            transfer(*arguments, QUICK)


def test_files_that_cannot_be_read_are_refused(transfer, tmp_path, write_unreadable):
    for name, reason in write_unreadable(tmp_path).items():
        for arguments in ((tmp_path / name, PAINTING), (PHOTO, tmp_path / name)):
            with pytest.raises(ImageError, match=reason):
                transfer(*arguments, QUICK)


# --- Several styles ---------------------------------------------------------------------------


def test_a_style_twice_is_that_style(transfer):
    expected = transfer(PHOTO, PAINTING, QUICK).image
    for styles in ([PAINTING, PAINTING], (PAINTING, Style(PHOTO, 0))):
        image = transfer(PHOTO, styles, replace(QUICK, init="photo")).image
        expected = transfer(PHOTO, PAINTING, replace(QUICK, init="photo")).image
        np.testing.assert_allclose(image, expected, atol=2e-3)


def test_a_blend_lies_between_its_styles(transfer):
    """The Gram matrices of a blend are sought: its loss is that of the blended targets."""
    other = picture(90, 70, seed=2)
    options = replace(QUICK, scales=1, error="mse", init="photo", iterations=1)
    levels = transfer._levels(PHOTO, transfer.objective(options).layers, options)

    def targets(styles):
        given = Given(Picture(PHOTO), read_paintings(styles), 1.0, {}, None, PHOTO, None)
        return transfer._targets.at(levels[0], transfer.objective(options), given, QUICK, 1)

    one, two, both = targets(PAINTING), targets(other), targets([PAINTING, Style(other, 3)])
    for name, target in both.items():
        np.testing.assert_allclose(target, 0.25 * one[name] + 0.75 * two[name], rtol=1e-5)


def test_the_size_of_the_style_follows_the_options(transfer, monkeypatch):
    seen = []
    targets = transfer.engine.targets

    def watched(terms, images, pooling, **others):
        if terms and terms[0].target != CONTENT_TARGET:
            seen.append(max(images.shape[2:]))
        return targets(terms, images, pooling, **others)

    monkeypatch.setattr(transfer.engine, "targets", watched)
    rng = np.random.default_rng(5)

    def sizes(**options):
        seen.clear()
        painting = np.clip(PAINTING + 0.001 * rng.random(PAINTING.shape, np.float32), 0, 1)
        changed = replace(QUICK, size=96, scales=2, iterations=2, **options)
        transfer(PHOTO, painting.astype(np.float32), changed)
        return list(seen)

    assert sizes() == [68, 96]
    assert sizes(style_scale=0.75) == [51, 72]
    assert sizes(style_size=72) == [51, 72]
    with pytest.raises(UsageError, match="not both"):
        replace(QUICK, style_size=72, style_scale=2)


# --- Regions ----------------------------------------------------------------------------------


def halves(left, right, shape=(96, 128)):
    pixels = np.zeros((*shape, 3), np.float32)
    pixels[:, : shape[1] // 2], pixels[:, shape[1] // 2 :] = left, right
    return pixels


def gradient(transfer, options, photo, style, masks):
    """(3, H, W) of the first step, without the margin."""
    step = first_step(transfer, photo, style, options, masks=masks)
    return step.run.levels[0].cut(step.gradient)[0]


@pytest.mark.parametrize("loss", ["gram", "moments", "wasserstein", "shifted-gram"])
def test_a_region_of_the_style_changes_its_region_of_the_photo_alone(loss):
    transfer = StyleTransfer("vgg16", device="cpu", threads=1)
    layers = {"relu1_1": 1.0, "relu2_1": 1.0}  # they see 3 and 10 pixels
    options = StyleTransferOptions(
        size=128, scales=1, init="photo", style_layers=layers, style_loss=loss
    )
    photo, painting = picture(128, 128), picture(128, 128, seed=1)
    other = painting.copy()
    other[:, :64] = picture(128, 64, seed=2)
    mask = halves((1, 0, 0), (0, 0, 1), (128, 128))
    before, after = (
        gradient(transfer, options, photo, Style(each, mask=mask), Masks(mask))
        for each in (painting, other)
    )
    moved = np.abs(after - before).max(0)
    assert moved[:, :64].max() > 0.01 * np.abs(before).max()
    assert moved[:, 64:].max() == 0
    # Without masks the change is everywhere.
    before, after = (gradient(transfer, options, photo, each, None) for each in (painting, other))
    assert np.abs(after - before)[..., 80:].max() > 0.01 * np.abs(before).max()


def test_one_white_region_is_no_region(transfer):
    white = halves(1, 1, (80, 100))
    options = replace(QUICK, init="photo")
    plain = transfer(PHOTO, PAINTING, options)
    masked = transfer(PHOTO, PAINTING, options, masks=Masks(white, white))
    assert any(name.endswith("@white") for name in masked.losses)
    np.testing.assert_allclose(masked.image, plain.image, atol=5e-3)


def test_black_keeps_the_photo_and_content_counts_in_white(transfer):
    options = replace(QUICK, iterations=20, scales=1, init="photo", tv_weight=0)
    options = replace(options, style_layers={"relu1": 1.0})  # sees 11 pixels
    mask = halves(1, 0, (80, 100))
    moved = np.abs(
        transfer(PHOTO, PAINTING, options, masks=Masks(mask)).image - resize(PHOTO, (51, 64))
    ).mean(2)
    assert moved[:, 44:].mean() < 0.3 * moved[:, :20].mean()
    kept = replace(options, content_weight=30)
    moved = np.abs(
        transfer(PHOTO, PAINTING, kept, masks=Masks(content=mask)).image - resize(PHOTO, (51, 64))
    ).mean(2)
    assert moved[:, :20].mean() < moved[:, 44:].mean()


def test_masks_that_cannot_be_used_are_errors_of_the_photo(transfer):
    mask = halves((1, 0, 0), (0, 0, 1), (80, 100))
    red = halves((1, 0, 0), (1, 0, 0), (90, 70))
    with pytest.raises(ImageError, match="lacks the region 0000ff"):
        transfer(PHOTO, Style(PAINTING, mask=red), QUICK, masks=Masks(mask))
    with pytest.raises(ImageError, match="mask of the style is 100x80"):
        transfer(PHOTO, Style(PAINTING, mask=mask), QUICK)


# --- Colours ----------------------------------------------------------------------------------


def chroma(pixels):
    return pixels - luminance(pixels)[..., None]


@pytest.mark.parametrize("color", ["photo", "luminance"])
def test_the_photos_chroma_is_kept(transfer, color):
    reports = []

    def progress(report):
        reports.append(report.picture())

    result = transfer(PHOTO, PAINTING, replace(QUICK, color=color), progress=progress)
    photo = resize(PHOTO, result.image.shape[:2])
    levels = np.rint(result.image * 255) / 255  # as a file has it
    assert np.abs(chroma(levels) - chroma(photo)).max() <= 1 / 255
    assert np.abs(result.image - photo).mean() > 0.01
    # Previews have the same colours.
    assert np.abs(chroma(reports[0]) - chroma(resize(PHOTO, reports[0].shape[:2]))).max() < 1e-5


def test_a_grey_picture_has_equal_channels_and_a_grey_photo_stays_grey(transfer):
    image = transfer(PHOTO, PAINTING, replace(QUICK, color="grey")).image
    assert np.ptp(image, axis=2).max() == 0
    for color in ("photo", "luminance"):
        image = transfer(grey(PHOTO), PAINTING, replace(QUICK, color=color)).image
        assert np.ptp(image, axis=2).max() < 1e-6


@pytest.mark.parametrize("color", ["histogram", "covariance"])
def test_the_style_gets_the_photos_colours_before(transfer, color):
    photo = np.clip(PHOTO * [0.2, 0.9, 0.3], 0, 1).astype(np.float32)  # green
    mean = transfer(photo, PAINTING, replace(QUICK, color=color, iterations=20)).image.mean((0, 1))
    plain = transfer(photo, PAINTING, replace(QUICK, iterations=20)).image.mean((0, 1))
    wanted = photo.mean((0, 1))
    assert np.abs(mean - wanted).max() < 0.05
    assert np.abs(plain - wanted).max() > 0.1


def test_columns_that_are_sorted_take_no_regions(transfer):
    options = replace(QUICK, style_loss="sliced")
    with pytest.raises(UsageError, match="'sliced' takes no regions"):
        transfer(PHOTO, PAINTING, options, masks=Masks(halves(1, 0, (80, 100))))


def test_roots_of_matrices_are_computed_in_fp32(transfer, monkeypatch):
    monkeypatch.setattr(transfer.engine, "_provider", Provider("cpu", "bf16"))
    options = replace(QUICK, scales=1, iterations=1)
    roots = replace(options, style_loss="wasserstein")
    assert transfer(PHOTO, PAINTING, options).precision == "bf16"
    with transfer.engine.in_fp32():  # as a second try after a loss that was not finite
        assert transfer(PHOTO, PAINTING, roots).precision == "fp32"
        assert transfer.engine.provider.precision == "fp32"
    assert transfer(PHOTO, PAINTING, roots).precision == "fp32"
    assert transfer.engine.provider.precision == "bf16"


@pytest.mark.parametrize("loss", ["shifted-gram", "sliced"])
def test_every_style_loss_paints(transfer, loss):
    options = replace(QUICK, size=160, iterations=4, scales=1, style_loss=loss)
    reports = []
    transfer(picture(130, 160), picture(150, 140, seed=1), options, progress=reports.append)
    first, last = (report.losses["total"] for report in (reports[0], reports[-1]))
    assert last < first


def test_shifted_copies_need_a_larger_picture(transfer):
    options = replace(QUICK, style_loss="shifted-gram")
    with pytest.raises(ImageError, match="its style loss needs at least 128 on each side"):
        transfer(PHOTO, PAINTING, options)
