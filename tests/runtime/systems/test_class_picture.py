"""Pictures of classes, on the real classifier: small, and few steps."""

from dataclasses import replace

import numpy as np
import pytest

from nstbatch.runtime.descent.loop import StopReason
from nstbatch.runtime.errors import BundleError, ImageError, UsageError
from nstbatch.runtime.objectives.phases import Phases
from nstbatch.runtime.objectives.spectrum import COLOURS
from nstbatch.runtime.pictures.images import read
from nstbatch.runtime.systems.class_picture import ClassPicture, score_layer
from nstbatch.runtime.systems.dream_options import ClassPictureOptions

QUICK = ClassPictureOptions(size=96, iterations=40, crops=1, smallest_crop=0.7)
OF_COSINES = replace(QUICK, prior="spectrum", learning_rate=0.05, jitter=4, zoom=1.1)


@pytest.fixture(scope="module")
def picture() -> ClassPicture:
    return ClassPicture("squeezenet1_1", device="cpu", threads=1)


@pytest.mark.parametrize("options", [QUICK, OF_COSINES], ids=lambda options: options.prior)
def test_the_network_comes_to_see_the_class(picture, options):
    reports = []
    result = picture("goldfish", options, progress=reports.append)
    assert (result.name, result.steps) == ("goldfish", 40)
    assert result.image.shape == (96, 96, 3)
    assert 0 < result.image.min() < result.image.max() < 1
    first, last = reports[0].losses, reports[-1].losses
    assert result.losses == last
    assert {(each.height, each.width) for each in reports} == {(96, 96)}
    assert last["score/conv10"] < 2 * first["score/conv10"] < 0
    assert last["likelihood/pool10"] < 0.5 * first["likelihood/pool10"]
    before = picture("goldfish", replace(options, iterations=1))
    assert result.probability > 0.5 > 50 * before.probability


def test_names_and_indices_are_one_class_and_seeds_are_variations(picture):
    few = replace(QUICK, iterations=2)
    by_name, by_index = picture("banana", few), picture(954, few)
    np.testing.assert_array_equal(by_name.image, by_index.image)
    assert (picture("banana", replace(few, seed=1)).image != by_name.image).any()
    assert (picture("goldfish", few).image != by_name.image).any()


def test_total_variation_smooths(picture):
    def variation(weight):
        image = picture("banana", replace(OF_COSINES, iterations=15, tv_weight=weight)).image
        return np.square(np.diff(image, axis=0)).mean()

    assert variation(1e6) < 0.5 * variation(0)


def test_a_picture_of_phases_has_the_magnitudes_of_natural_images(picture):
    """Those before the sigmoid, after all steps."""
    image = picture("banana", replace(QUICK, iterations=10)).image.astype(np.float64)
    planes = np.log(image / (1 - image)) @ np.linalg.inv(COLOURS).T
    found = 2 * np.abs(np.fft.rfft2(planes, axes=(0, 1), norm="forward"))
    fixed = Phases(96, 96).magnitudes().transpose(1, 2, 0)
    np.testing.assert_allclose(found[fixed > 0], fixed[fixed > 0], atol=1e-4)


def test_crops_share_one_picture_and_their_losses_are_a_mean(picture):
    """Of a picture seen whole and without noise, every crop is the same."""
    whole = replace(QUICK, iterations=2, smallest_crop=1.0, noise=0.0)
    one, three = picture("banana", whole), picture("banana", replace(whole, crops=3))
    np.testing.assert_allclose(three.image, one.image, atol=1e-4)
    assert three.losses == pytest.approx(one.losses, rel=1e-4)
    seen_small = picture("banana", replace(whole, crop_size=64))
    assert seen_small.image.shape == (96, 96, 3)
    assert (seen_small.image != one.image).any()


@pytest.mark.parametrize("options", [QUICK, OF_COSINES], ids=lambda options: options.prior)
def test_transparency_is_the_sum_of_the_slopes_and_changes_no_picture(picture, options):
    few = replace(options, iterations=3)
    plain, seen = picture("banana", few), picture("banana", replace(few, transparency=True))
    assert plain.alpha is None
    np.testing.assert_array_equal(seen.image, plain.image)
    assert seen.alpha.shape == (96, 96)
    assert 0 <= seen.alpha.min() < 0.5 < seen.alpha.max() == 1


def test_probabilities_are_those_of_the_classifier(picture):
    coffee = read("examples/photos/coffee.jpg").pixels[::2, ::2]
    probabilities = picture.probabilities(np.ascontiguousarray(coffee))
    assert probabilities.shape == (1000,)
    assert probabilities.sum() == pytest.approx(1, rel=1e-5)
    assert picture.engine.bundle.classes[probabilities.argmax()] == "espresso"


def test_a_run_that_is_stopped_says_so(picture):
    result = picture("banana", QUICK, stop=lambda: True)
    assert (result.reason, result.steps) == (StopReason.STOPPED, 0)


def test_scores_are_those_before_the_last_relu(picture):
    assert score_layer(picture.engine.bundle).name == "conv10"


def test_classes_that_fit_no_layer_are_refused(picture):
    with pytest.raises(BundleError, match="names 3 classes, and its last layer has 1000 channels"):
        score_layer(replace(picture.engine.bundle, classes=("a", "b", "c")))


@pytest.mark.parametrize("model", ["vgg16", "alexnet"])
def test_a_network_without_a_classifier_is_refused(model):
    with pytest.raises(UsageError, match=f"{model} was exported without a classifier"):
        ClassPicture(model, device="cpu")


def test_an_unknown_class_is_refused(picture):
    with pytest.raises(UsageError, match=r"Did you mean .*'banana' \(954\)"):
        picture("bannana", QUICK)


def test_a_size_that_is_too_small_is_refused(picture):
    with pytest.raises(ImageError, match="The picture is 9x9 pixels; conv10 needs"):
        picture("banana", replace(QUICK, size=9))
    with pytest.raises(ImageError, match="The crop is 9x9 pixels; conv10 needs"):
        picture("banana", replace(QUICK, crop_size=9))


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0},
        {"iterations": 0},
        {"learning_rate": 0.0},
        {"prior": "pixels"},
        {"transparency": 1},
        {"crops": 0},
        {"crop_size": 0},
        {"smallest_crop": 0.0},
        {"largest_crop": 0.3},
        {"largest_crop": 1.1},
        {"noise": -0.1},
        {"tv_weight": -1.0},
        {"jitter": -1},
        {"zoom": 0.9},
        {"seed": -1},
        {"pooling": "min"},
    ],
)
def test_options_out_of_range_are_refused_by_their_name(wrong):
    (name,) = wrong
    with pytest.raises(UsageError, match=name):
        ClassPictureOptions(**wrong)
