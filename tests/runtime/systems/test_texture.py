"""Texture synthesis as a program that embeds it meets it."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from nstbatch.exporter.checks.pictures import photo_like
from nstbatch.runtime.descent.loop import StopReason
from nstbatch.runtime.errors import ImageError, UnknownNameError, UsageError
from nstbatch.runtime.pictures.colours import match_histogram
from nstbatch.runtime.pictures.images import Picture
from nstbatch.runtime.pictures.sizes import resize, to_nchw
from nstbatch.runtime.systems.texture import KEPT_TARGETS, Texture
from nstbatch.runtime.systems.texture_options import TextureOptions

QUICK = TextureOptions(width=80, height=64, iterations=4, scales=2, histogram=False)


def picture(height, width, seed=0):
    """(H, W, 3), like a photo, in whole 255ths."""
    image = photo_like(np.random.default_rng(seed), height, width).transpose(1, 2, 0)
    return np.ascontiguousarray(np.rint(image * 255) / 255, dtype=np.float32)


def waves(height, width):
    """(H, W, 3): slanted waves of two colours, which no tile of a whole number of them fits."""
    rows, columns = np.mgrid[:height, :width]
    wave = 0.5 + 0.5 * np.sin((0.9 * rows + 1.7 * columns) / 3.1)[..., None]
    return (wave * [0.9, 0.6, 0.2] + (1 - wave) * [0.1, 0.2, 0.5]).astype(np.float32)


EXEMPLAR = picture(96, 120)


@pytest.fixture(scope="module")
def synthesis() -> Texture:
    return Texture("squeezenet1_1", device="cpu", threads=1)


# --- What comes out ---------------------------------------------------------------------------


def test_three_lines_are_enough(tmp_path):
    Image.fromarray(np.rint(EXEMPLAR * 255).astype(np.uint8)).save(tmp_path / "exemplar.png")
    reports = []
    synthesis = Texture("squeezenet1_1", device="cpu")
    result = synthesis(tmp_path / "exemplar.png", QUICK, progress=reports.append)
    image = result.image
    assert image.shape == (64, 80, 3)
    assert image.dtype == np.float32
    assert image.flags.c_contiguous
    assert 0 <= image.min() < image.max() <= 1
    assert result.reason is StopReason.FINISHED
    assert result.steps == reports[-1].step == 4
    assert (result.provider, result.precision) == ("cpu", "fp32")
    assert result.losses == reports[-1].losses
    assert result.losses["total"] == pytest.approx(sum(result.losses.values()) / 2)
    assert image.tobytes() == synthesis(EXEMPLAR, QUICK).image.tobytes()


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_the_gram_matrices_become_those_of_the_exemplar(synthesis, optimizer):
    """Looked at from outside: the texture that came out, beside the noise that it started from."""
    options = replace(QUICK, width=96, height=96, iterations=100, optimizer=optimizer)
    terms = synthesis.objective(options).terms
    exemplar = synthesis.engine.targets(terms, to_nchw(EXEMPLAR), "avg")

    def differences(image):
        seen = synthesis.engine.targets(terms, to_nchw(image), "avg")
        return {
            name: np.square(seen[name] - gram).mean() / np.square(gram).mean()
            for name, gram in exemplar.items()
        }

    noise = np.random.default_rng(0).choice(EXEMPLAR.reshape(-1, 3), (96, 96))
    before, after = differences(noise), differences(synthesis(EXEMPLAR, options).image)
    assert len(after) == 4
    for name, difference in after.items():
        assert difference < 0.25 * before[name], name
        assert difference < 0.2, name


@pytest.mark.parametrize(("width", "height"), [(64, 64), (150, 40), (33, 97)])
def test_any_size_can_be_asked_for(synthesis, width, height):
    for tileable in (False, True):
        options = replace(QUICK, width=width, height=height, tileable=tileable)
        assert synthesis(EXEMPLAR, options).image.shape == (height, width, 3)


def test_the_histogram_is_matched_in_the_end(synthesis):
    plain = synthesis(EXEMPLAR, QUICK)
    matched = synthesis(EXEMPLAR, replace(QUICK, histogram=True))
    assert matched.losses == plain.losses
    np.testing.assert_array_equal(matched.image, match_histogram(plain.image, EXEMPLAR))
    assert np.abs(matched.image - plain.image).max() > 0.01


def test_a_grey_exemplar_gives_a_grey_texture(synthesis):
    grey = np.repeat(EXEMPLAR[..., :1], 3, axis=2)
    image = synthesis(grey, replace(QUICK, histogram=True)).image
    assert np.ptp(np.rint(image * 255), axis=2).max() <= 1
    assert image.std() > 0.1


# --- Noise ------------------------------------------------------------------------------------


@pytest.mark.parametrize("tileable", [False, True])
def test_two_runs_with_one_seed_give_identical_bytes(synthesis, tileable):
    options = replace(QUICK, seed=7, tileable=tileable)
    expected = synthesis(EXEMPLAR, options)
    for again in (synthesis, Texture("squeezenet1_1", device="cpu", threads=1)):
        result = again(EXEMPLAR, options)
        assert result.image.tobytes() == expected.image.tobytes()
        assert result.losses == expected.losses


def test_variations_and_seeds_differ(synthesis):
    textures = [
        synthesis(EXEMPLAR, replace(QUICK, seed=seed), variation=variation).image
        for seed in (0, 1)
        for variation in (0, 1, 2)
    ]
    assert len({image.tobytes() for image in textures}) == len(textures)
    for one, other in pairwise(textures):
        assert np.abs(one - other).mean() > 0.05


def test_the_noise_has_the_colours_of_the_exemplar(synthesis):
    two = np.where(waves(90, 90)[..., :1] > 0.5, [0.9, 0.1, 0.2], [0.0, 0.4, 0.6])
    start = synthesis(two.astype(np.float32), QUICK, stop=lambda: True)
    assert start.reason is StopReason.STOPPED
    assert start.steps == 0
    colours, counts = np.unique(start.image.reshape(-1, 3), axis=0, return_counts=True)
    np.testing.assert_allclose(colours, [[0.0, 0.4, 0.6], [0.9, 0.1, 0.2]], atol=1e-6)
    share = (two[..., 0] > 0.5).mean()
    assert counts[1] / counts.sum() == pytest.approx(share, abs=0.05)
    right = (start.image[:, 1:] == start.image[:, :-1]).all(axis=2).mean()
    assert right == pytest.approx(share**2 + (1 - share) ** 2, abs=0.05)  # as by chance


# --- Tiling -----------------------------------------------------------------------------------


def seam(image):
    """Of a tiling, the step across a seam by the largest one inside, on average of both seams."""
    found = []
    for axis in (0, 1):
        lines = np.moveaxis(image, axis, 0)
        steps = np.abs(np.roll(lines, -1, axis=0) - lines).mean(axis=(1, 2))
        found.append(steps[-1] / steps[:-1].max())
    return np.mean(found)


def test_the_seam_of_a_tileable_texture_is_like_its_inside(synthesis):
    options = replace(QUICK, width=96, height=72, iterations=80, histogram=True)
    exemplar = waves(128, 128)

    def average(options):
        return np.mean([seam(synthesis(exemplar, replace(options, seed=n)).image) for n in (0, 1)])

    assert average(replace(options, tileable=True)) < 1
    assert average(options) > 1.3


# --- The objective ----------------------------------------------------------------------------


def test_the_layers_of_the_bundle_share_evenly(synthesis):
    weights = synthesis.objective(TextureOptions()).weights
    assert weights == {f"style/{layer}": 0.25 for layer in synthesis.engine.bundle.style_layers}


def test_the_weights_of_layers_are_shares(synthesis):
    options = TextureOptions(layers={"pool1": 3, "fire3/concat": 1})
    assert synthesis.objective(options).weights == {"style/pool1": 0.75, "style/fire3/concat": 0.25}


@pytest.mark.parametrize(
    ("up_to", "count"),
    [
        ("relu_conv1", 1),
        ("pool1", 1),  # between two of the layers
        ("fire3/concat", 2),
        ("pool3", 2),
        ("fire4/concat", 3),
        ("fire5/concat", 4),
        ("pool10", 4),
    ],
)
def test_the_layers_up_to_one_are_taken(synthesis, up_to, count):
    layers = synthesis.engine.bundle.style_layers[:count]
    terms = synthesis.objective(TextureOptions(up_to=up_to)).terms
    assert [term.layer for term in terms] == list(layers)


def test_of_the_layers_chosen_those_up_to_one_are_taken(synthesis):
    chosen = {"fire5/concat": 1.0, "pool3": 2.0, "pool1": 2.0}
    options = TextureOptions(layers=chosen, up_to="pool3")
    assert synthesis.objective(options).weights == {"style/pool3": 0.5, "style/pool1": 0.5}


@pytest.mark.parametrize("loss", ["shifted-gram", "sliced"])
def test_other_losses_make_textures_too(synthesis, loss):
    """Looked at by the Gram matrices, which none of them compares alone."""
    options = TextureOptions(
        width=128, height=128, iterations=60, scales=1, up_to="fire4/concat", style_loss=loss
    )
    exemplar = waves(128, 128)
    grams = synthesis.objective(TextureOptions(up_to="fire4/concat")).terms
    wanted = synthesis.engine.targets(grams, to_nchw(exemplar), "avg")
    made = synthesis.engine.targets(grams, to_nchw(synthesis(exemplar, options).image), "avg")
    noise = np.random.default_rng(0).choice(exemplar.reshape(-1, 3), (128, 128))
    before = synthesis.engine.targets(grams, to_nchw(noise), "avg")
    for name, gram in wanted.items():
        difference, first = (np.square(seen[name] - gram).mean() for seen in (made, before))
        assert difference < 0.3 * first, name


@pytest.mark.parametrize(("tileable", "least"), [(True, 0.9), (False, 0.4)])
def test_the_spectrum_makes_the_waves_of_the_exemplar(synthesis, tileable, least):
    """Stripes of ten pixels: how much of a texture's variance is in waves of about their period.

    A texture that does not tile is cut out of a larger one, so its waves are not whole ones.
    """
    stripes = np.repeat(np.sin(np.arange(160) * np.pi / 5)[None, :, None] / 4 + 0.5, 160, 0)
    stripes = np.repeat(stripes, 3, 2).astype(np.float32)
    options = replace(QUICK, width=100, height=80, iterations=40, tileable=tileable)

    def share(options):
        image = synthesis(stripes, options).image[..., 1]
        power = np.square(np.abs(np.fft.rfft2(image - image.mean())[:, 1:]))
        return power[0, 8:11].sum() / power.sum()

    assert share(replace(options, spectrum_weight=1.0)) > least
    assert share(options) < 0.2


def test_the_estimate_of_memory_follows_the_style_loss(synthesis):
    """As measured: docs/decisions/0036-regular-textures.md."""
    options = TextureOptions(scales=1)
    measured = {"gram": 742, "shifted-gram": 1276, "sliced": 1060}
    for loss, peak in measured.items():
        estimate = synthesis.peak_memory(replace(options, style_loss=loss), (512, 512))
        assert 0.9 * peak < estimate / 2**20 < 1.25 * peak


def test_several_exemplars_are_mixed_by_weight(synthesis):
    """The texture's Gram matrices lie by the mean of those of both, and its colours by weight."""
    red, blue = waves(96, 96) * [1, 0.2, 0.2], np.transpose(waves(96, 96), (1, 0, 2)) * [0, 0.3, 1]
    red, blue = red.astype(np.float32), blue.astype(np.float32)
    options = replace(QUICK, width=96, height=96, iterations=60, scales=1, histogram=True)
    mixed = synthesis(red, options, others=[(blue, 3.0)]).image
    mean = (red.mean((0, 1)) + 3 * blue.mean((0, 1))) / 4
    np.testing.assert_allclose(mixed.mean((0, 1)), mean, atol=0.02)
    terms = synthesis.objective(options).terms
    grams = [synthesis.engine.targets(terms, to_nchw(each), "avg") for each in (red, blue, mixed)]
    for name, of_red in grams[0].items():
        wanted = (of_red + 3 * grams[1][name]) / 4
        off = np.square(grams[2][name] - wanted).mean()
        assert off < 0.5 * np.square(of_red - wanted).mean(), name
    with pytest.raises(UsageError, match="spectrum of several exemplars has no mean"):
        synthesis(red, replace(options, spectrum_weight=1.0), others=[(blue, 1.0)])
    with pytest.raises(UsageError, match="weight of an exemplar must be a number above 0"):
        synthesis(red, options, others=[(blue, 0.0)])
    with pytest.raises(ImageError, match="The exemplar is 96x50 pixels"):
        synthesis(red, options, others=[(blue[:50], 1.0)])


def test_an_exemplar_must_hold_the_longest_shift_twice(synthesis):
    options = replace(QUICK, up_to="fire3/concat", style_loss="shifted-gram")
    with pytest.raises(ImageError, match="is 127x140 pixels; shifted-gram needs 128x128"):
        synthesis(picture(140, 127), replace(options, width=128, height=128))
    with pytest.raises(UsageError, match="80x64 pixels; shifted-gram needs at least 128x128"):
        synthesis.check(options)
    with pytest.raises(UsageError, match="pool10 has no places that could be shifted"):
        synthesis.check(replace(options, layers={"pool10": 1.0}, up_to=None))


# --- Scales -----------------------------------------------------------------------------------


def test_the_exemplar_shrinks_with_the_texture(synthesis, monkeypatch):
    seen = []
    real = synthesis.engine.targets

    def targets(terms, images, pooling):
        seen.append(images.shape[2:])
        return real(terms, images, pooling)

    monkeypatch.setattr(synthesis.engine, "targets", targets)
    reports = []
    exemplar = picture(100, 200, seed=5)
    options = replace(QUICK, width=64, height=128, scales=2)
    synthesis(exemplar, options, progress=reports.append)
    assert {(report.height, report.width) for report in reports} == {(91, 46), (128, 64)}
    assert seen == [(71, 142), (100, 200)]
    synthesis(exemplar, options, variation=1)
    assert len(seen) == 2  # looked at once for all variations
    synthesis(exemplar, replace(options, exemplar_size=150))
    assert seen[2:] == [(75, 150)]  # its coarser half would be too small for a layer


@pytest.mark.parametrize("iterations", [1, 2, 9])
def test_coarse_scales_take_more_of_the_steps(synthesis, iterations):
    reports = []
    options = replace(QUICK, iterations=iterations)
    result = synthesis(EXEMPLAR, options, progress=reports.append)
    assert result.steps == reports[-1].step == iterations
    assert reports[-1].share == 1
    taken = [sum(report.scale == scale for report in reports) - 1 for scale in (1, 2)]
    assert sum(taken) == iterations
    assert taken[0] >= taken[1] or iterations == 1


def test_a_long_batch_keeps_few_targets():
    synthesis = Texture("squeezenet1_1", device="cpu", threads=1)
    options = replace(QUICK, scales=1, iterations=1, up_to="relu_conv1")
    for shade in np.linspace(0.1, 0.9, KEPT_TARGETS + 3):
        synthesis(np.full((64, 64, 3), shade, np.float32), options)
    assert len(synthesis._targets) == KEPT_TARGETS


def test_a_run_can_be_stopped(synthesis):
    reports = []
    result = synthesis(EXEMPLAR, QUICK, progress=reports.append, stop=lambda: reports[-1].step >= 1)
    assert result.reason is StopReason.STOPPED
    assert result.steps == 1
    assert result.image.shape == (46, 57, 3)
    assert result.losses == reports[-1].losses


# --- What is refused, and what is not ---------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2000, 3), (62, 200)])
def test_an_exemplar_smaller_than_a_receptive_field_is_refused(synthesis, height, width):
    expected = f"The exemplar is {width}x{height} pixels; fire5/concat sees 63x63 at once"
    with pytest.raises(ImageError, match=expected):
        synthesis(np.full((height, width, 3), 0.5, np.float32), QUICK)


def test_an_exemplar_that_is_too_small_can_be_enlarged_or_the_layer_left_out(synthesis):
    small = picture(50, 60)
    assert synthesis(small, replace(QUICK, exemplar_size=76)).reason is StopReason.FINISHED
    assert synthesis(small, replace(QUICK, up_to="fire4/concat")).reason is StopReason.FINISHED
    with pytest.raises(ImageError, match="The exemplar is 75x62 pixels"):
        synthesis(small, replace(QUICK, exemplar_size=75))


def test_a_layer_that_sees_everything_works(synthesis):
    result = synthesis(EXEMPLAR, replace(QUICK, layers={"pool10": 1.0}))
    assert result.reason is StopReason.FINISHED


def test_a_texture_too_small_for_a_layer_is_refused(synthesis):
    message = "The texture is 80x6 pixels; fire5/concat needs at least"
    for ask in (synthesis.check, lambda options: synthesis(EXEMPLAR, options)):
        with pytest.raises(UsageError, match=message):
            ask(replace(QUICK, height=6))


@pytest.mark.parametrize("options", [{"layers": {"relu9": 1.0}}, {"up_to": "relu9"}])
def test_an_unknown_layer_is_refused_with_the_right_names(synthesis, options):
    with pytest.raises(UnknownNameError, match=r"'relu9'.*Known: conv1, relu_conv1.*pool10"):
        synthesis(EXEMPLAR, replace(QUICK, **options))


def test_a_choice_that_leaves_no_layer_is_refused(synthesis):
    with pytest.raises(UsageError, match=r"No layer is left up to conv1.*relu_conv1"):
        synthesis.check(replace(QUICK, up_to="conv1"))
    with pytest.raises(UsageError, match="At least one layer"):
        synthesis.check(replace(QUICK, layers={"pool1": 0.0}))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("width", 0),
        ("height", -1),
        ("exemplar_size", 0),
        ("iterations", 0),
        ("scales", 0),
        ("seed", -1),
        ("learning_rate", 0.0),
        ("layers", {"pool1": -1.0}),
        ("optimizer", "sgd"),
        ("pooling", "median"),
        ("style_loss", "wasserstone"),
        ("spectrum_weight", -0.1),
    ],
)
def test_options_out_of_range_are_refused_by_name(option, value):
    with pytest.raises(UsageError, match=f"{option}|weight of pool1"):
        TextureOptions(**{option: value})


def test_files_that_cannot_be_read_are_refused(synthesis, tmp_path, write_unreadable):
    for name, reason in write_unreadable(tmp_path).items():
        with pytest.raises(ImageError, match=reason):
            synthesis(tmp_path / name, QUICK)


def test_paths_arrays_and_pictures_are_the_same(synthesis):
    expected = synthesis(EXEMPLAR, QUICK).image.tobytes()
    for exemplar in (Picture(EXEMPLAR), EXEMPLAR.astype(np.float64), np.asfortranarray(EXEMPLAR)):
        assert synthesis(exemplar, QUICK).image.tobytes() == expected
    with pytest.raises(ImageError, match=r"A picture must be a path, .* not NoneType"):
        synthesis(None, QUICK)
    with pytest.raises(UsageError, match="variation must be a whole number of at least 0, not -1"):
        synthesis(EXEMPLAR, QUICK, variation=-1)
    assert synthesis(resize(EXEMPLAR, (96, 96)), QUICK).image.tobytes() != expected
