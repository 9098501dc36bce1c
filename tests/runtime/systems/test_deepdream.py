"""Dreams of photos, on the real network: small pictures, few steps."""

from dataclasses import replace

import numpy as np
import pytest

from nstbatch.exporter.checks.pictures import photo_like
from nstbatch.runtime.descent.loop import StopReason
from nstbatch.runtime.errors import ImageError, UnknownNameError, UsageError
from nstbatch.runtime.pictures.images import Picture
from nstbatch.runtime.pictures.sizes import resize
from nstbatch.runtime.systems.deepdream import DeepDream
from nstbatch.runtime.systems.dream_options import DREAM_LAYERS, DreamOptions

QUICK = DreamOptions(size=80, layer="fire4/concat", octaves=2, iterations=4, jitter=4)


def picture(height, width, seed=0):
    """(H, W, 3), like a photo."""
    image = photo_like(np.random.default_rng(seed), height, width).transpose(1, 2, 0)
    return np.ascontiguousarray(image, dtype=np.float32)


PHOTO = picture(60, 80)


@pytest.fixture(scope="module")
def dream() -> DeepDream:
    return DeepDream("squeezenet1_1", device="cpu", threads=1)


# --- What comes out ---------------------------------------------------------------------------


def test_the_layer_sees_more_and_more(dream):
    reports = []
    result = dream(PHOTO, QUICK, progress=reports.append)
    assert result.image.shape == PHOTO.shape
    assert 0 <= result.image.min() < result.image.max() <= 1
    assert (result.reason, result.steps) == (StopReason.FINISHED, 8)
    assert (result.provider, result.precision) == ("cpu", "fp32")
    energies = [-report.losses["energy/fire4/concat"] for report in reports]
    assert result.losses == reports[-1].losses
    for octave in (energies[:5], energies[5:]):
        assert octave[-1] > 1.5 * octave[0] > 0


def test_a_photo_may_be_levels_and_its_guide_too(dream):
    levels = np.rint(PHOTO * 255).astype(np.uint8)
    samples = levels.astype(np.float32) / np.float32(255)
    expected = dream(samples, QUICK, guide_image=samples).image
    np.testing.assert_array_equal(dream(levels, QUICK, guide_image=levels).image, expected)


def test_a_step_changes_the_picture_by_its_size(dream):
    options = replace(QUICK, octaves=1, iterations=1, step_size=2.0)
    photo = PHOTO * 0.8 + 0.1  # so that nothing is clipped
    changed = np.abs(dream(photo, options).image - photo)
    assert changed.mean() * 255 == pytest.approx(2.0, rel=0.02)


def test_octaves_grow_by_their_factor_with_as_many_steps_at_each(dream):
    reports = []
    dream(PHOTO, replace(QUICK, octaves=3, octave_scale=1.25), progress=reports.append)
    places = [(report.scale, report.width, report.height) for report in reports]
    # An octave is evaluated once more than it is stepped.
    assert places == [(1, 51, 38)] * 5 + [(2, 64, 48)] * 5 + [(3, 80, 60)] * 5


def test_octaves_that_are_too_small_are_left_out_and_the_others_keep_their_steps(dream):
    reports = []
    options = replace(QUICK, layer="fire9/concat", octaves=9, octave_scale=2.0)
    result = dream(PHOTO, options, progress=reports.append)
    assert reports[-1].scales < 9
    assert result.steps == 4 * reports[-1].scales


def test_what_is_not_dreamed_of_keeps_the_sharpness_of_the_photo(dream):
    """A step that changes next to nothing, from a coarse octave on, leaves the photo."""
    result = dream(PHOTO, replace(QUICK, octaves=3, step_size=1e-4))
    np.testing.assert_allclose(result.image, PHOTO, atol=0.01)
    coarse = resize(resize(PHOTO, (30, 40)), (60, 80))
    assert np.abs(coarse - PHOTO).max() > 0.05


def test_two_runs_are_the_same_and_another_seed_is_another_dream(dream):
    first, again = dream(PHOTO, QUICK), dream(PHOTO, QUICK)
    np.testing.assert_array_equal(first.image, again.image)
    assert (dream(PHOTO, replace(QUICK, seed=1)).image != first.image).any()


def test_channels_are_the_only_ones_that_count(dream):
    def rise(options, watched):
        """By how much the energy of the watched channels grew, and that of the layer."""
        energies = []
        for picture_of in (PHOTO, dream(PHOTO, options).image):
            watch = replace(options, channels=watched, octaves=1, iterations=1, jitter=0)
            reports = []
            dream(picture_of, watch, progress=reports.append)
            energies.append(-reports[0].losses["total"])
        return energies[1] / energies[0]

    chosen = (3, 17)
    assert rise(replace(QUICK, channels=chosen), chosen) > 2 * rise(QUICK, chosen)


def test_a_guide_draws_the_photo_to_its_features(dream):
    guide_picture = picture(50, 70, seed=5)
    reports = []
    result = dream(PHOTO, QUICK, guide_image=guide_picture, progress=reports.append)
    assert list(result.losses) == ["guide/fire4/concat", "total"]
    assert reports[-1].losses["total"] < 1.1 * reports[5].losses["total"] < 0
    other = dream(PHOTO, QUICK, guide_image=picture(50, 70, seed=6))
    assert (other.image != result.image).any()


def test_transparency_is_kept(dream):
    alpha = np.tile(np.linspace(0, 1, 160, dtype=np.float32), (120, 1))
    result = dream(Picture(picture(120, 160), alpha), QUICK)
    assert result.alpha.shape == result.image.shape[:2] == (60, 80)
    np.testing.assert_allclose(result.alpha[30], np.linspace(0, 1, 80), atol=0.01)


def test_a_run_that_is_stopped_says_so(dream):
    result = dream(PHOTO, QUICK, stop=lambda: True)
    assert (result.reason, result.steps) == (StopReason.STOPPED, 0)


@pytest.mark.parametrize("model", DREAM_LAYERS)
def test_every_built_in_network_has_a_layer_of_its_own(model):
    dream = DeepDream(model, device="cpu", threads=1)
    options = DreamOptions(size=96, octaves=1, iterations=1)
    assert list(dream(picture(96, 96), options).losses) == [
        f"energy/{DREAM_LAYERS[model]}",
        "total",
    ]


# --- What is refused --------------------------------------------------------------------------


def test_an_unknown_layer_is_refused_with_the_right_names(dream):
    with pytest.raises(UnknownNameError, match=r"'fire77/concat'.*Did you mean 'fire7/concat'"):
        dream.check(replace(QUICK, layer="fire77/concat"))


def test_a_layer_without_positions_is_refused(dream):
    with pytest.raises(UsageError, match="pool10 of squeezenet1_1 sees the picture as a whole"):
        dream.check(replace(QUICK, layer="pool10"))


@pytest.mark.parametrize("channel", [-1, 256])
def test_an_unknown_channel_is_refused_with_how_many_there_are(dream, channel):
    with pytest.raises(UsageError, match=rf"has 256 channels, 0 to 255; .* channel {channel}\."):
        dream.check(replace(QUICK, channels=(0, channel)))


def test_the_strongest_channels_are_those_with_the_most_energy(dream):
    """Each channel's energy is the loss of a dream of that channel alone, before its first step."""
    options = replace(QUICK, octaves=1, iterations=1, jitter=0)

    def energy(channel: int) -> float:
        seen = []
        dream(PHOTO, replace(options, channels=(channel,)), progress=seen.append)
        return -seen[0].losses["total"]

    result = dream(PHOTO, replace(options, channels="strongest:3"))
    assert len(result.channels) == 3
    strongest = [energy(channel) for channel in result.channels]
    assert strongest == sorted(strongest, reverse=True)
    others = sorted(set(range(0, 256, 12)) - set(result.channels))
    assert max(map(energy, others)) < strongest[-1]
    assert dream(PHOTO, replace(options, channels="strongest")).channels == result.channels[:1]
    assert dream(PHOTO, replace(options, channels=[7, 3])).channels == (7, 3)
    assert dream(PHOTO, options).channels is None
    with pytest.raises(UsageError, match="has only 256 channels, not 257"):
        dream(PHOTO, replace(options, channels="strongest:257"))
    with pytest.raises(UsageError, match="not both"):
        dream(PHOTO, replace(options, channels="strongest"), guide_image=PHOTO)


def test_channels_and_a_guide_exclude_each_other(dream):
    with pytest.raises(UsageError, match="not both"):
        dream.check(replace(QUICK, channels=(1,)), PHOTO)


def test_pictures_that_are_too_small_are_refused_by_their_size(dream):
    deep = replace(QUICK, layer="fire9/concat")
    with pytest.raises(ImageError, match=r"The picture is 9x500 pixels; fire9/concat needs"):
        dream(picture(500, 9), deep)
    with pytest.raises(ImageError, match="at the size asked for is 8x6 pixels; fire9/concat needs"):
        dream(PHOTO, replace(deep, size=8))
    with pytest.raises(ImageError, match="The guide is 9x9 pixels; fire9/concat needs"):
        dream.check(deep, picture(9, 9))


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0},
        {"octaves": 0},
        {"octave_scale": 1.0},
        {"iterations": 0},
        {"step_size": 0.0},
        {"step_size": float("nan")},
        {"jitter": -1},
        {"seed": -1},
        {"pooling": "min"},
        {"channels": ()},
        {"channels": "strongest:"},
    ],
)
def test_options_out_of_range_are_refused_by_their_name(wrong):
    (name,) = wrong
    with pytest.raises(UsageError, match=name):
        DreamOptions(**wrong)
