"""The networks known by name: definition, layers, preprocessing and weights.

The definitions are torchvision's, the layer names those of the literature: ``relu3_1`` of VGG,
``inception4c`` of GoogLeNet, ``fire5/concat`` of SqueezeNet's prototxt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from torch import nn

from nstbatch.runtime.bundles.bundle import Preprocessing
from nstbatch.runtime.errors import UnknownNameError

from . import packaged, zoo
from .downloaded import DownloadedWeights
from .packaged import PackagedWeights

# https://docs.pytorch.org/vision/stable/models.html: the mean and std of ImageNet's training set.
IMAGENET = Preprocessing("RGB", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

# https://github.com/forresti/SqueezeNet, SqueezeNet_v1.1/train_val.prototxt: mean_value.
CAFFE = Preprocessing("BGR", 255.0, (104.0, 117.0, 123.0), (1.0, 1.0, 1.0))

# TensorFlow's GoogLeNet, from which torchvision's weights were converted. Torchvision normalises as
# for ImageNet and undoes that inside the network (transform_input); this gives the same result
# directly.
TENSORFLOW = Preprocessing("RGB", 1.0, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True)
class Backbone:
    """A network that can be exported."""

    name: str
    architecture: str
    """Its definition, for the manifest."""
    build: Callable[[], nn.Module]
    """Makes the network: image (N, 3, H, W), preprocessed -> anything. It is in eval mode and
    frozen, works nowhere in place, and has random weights unless it brings its own."""
    layers: Mapping[str, str]
    """Layer name -> dotted path of the submodule whose output it is, in order from the image."""
    preprocessing: Preprocessing
    """Preprocessing for its own weights."""
    style_layers: tuple[str, ...]
    """Suggested layers for the style."""
    content_layers: tuple[str, ...]
    """Suggested layers for the content."""
    classes: tuple[str, ...] = ()
    """Names of the channels of the last layer, if that is a classifier."""
    weights: PackagedWeights | DownloadedWeights | None = None
    """Its own weights; None if ``build`` brings them or there are none."""
    ignored_weights: tuple[str, ...] = ()
    """Globs of tensors that a weights file may hold for parts that are left out here."""
    file_preprocessing: Preprocessing | None = None
    """Preprocessing for weights from a file, if it differs."""


def get(name: str) -> Backbone:
    """The backbone of this name, one of `NAMES`.

    Raises:
        UnknownNameError: There is no such backbone; the message lists all names.
        UsageError: Torchvision is not installed.
    """
    if name not in _REGISTRY:
        raise UnknownNameError("network", name, NAMES)
    return _REGISTRY[name]()


# --- VGG (Simonyan & Zisserman 2015) ----------------------------------------------------------


def _vgg(
    name: str,
    convolutions: Sequence[int],
    weights: PackagedWeights | DownloadedWeights,
) -> Backbone:
    """A VGG; ``convolutions`` holds the number of convolutions in each of its five blocks."""
    return Backbone(
        name=name,
        architecture=f"torchvision {name}, features",
        build=partial(zoo.convolutional, name),
        layers=_vgg_layers(convolutions),
        preprocessing=IMAGENET,
        # Gatys, Ecker & Bethge 2016, section 3, each after its ReLU, as in their code.
        style_layers=("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
        content_layers=("relu4_2",),
        weights=weights,
        ignored_weights=("classifier.*",),
    )


def _vgg_layers(convolutions: Sequence[int]) -> dict[str, str]:
    names: list[str] = []
    for block, count in enumerate(convolutions, start=1):
        for convolution in range(1, count + 1):
            names += [f"conv{block}_{convolution}", f"relu{block}_{convolution}"]
        names.append(f"pool{block}")
    return {name: f"features.{index}" for index, name in enumerate(names)}


# --- AlexNet (Krizhevsky 2014) ----------------------------------------------------------------


def _alexnet() -> Backbone:
    names = ["conv1", "relu1", "pool1", "conv2", "relu2", "pool2"]
    names += ["conv3", "relu3", "conv4", "relu4", "conv5", "relu5", "pool5"]
    return Backbone(
        name="alexnet",
        architecture="torchvision alexnet, features",
        build=partial(zoo.convolutional, "alexnet"),
        layers={name: f"features.{index}" for index, name in enumerate(names)},
        preprocessing=IMAGENET,
        # A guess: all depths for the style, the middle depth for the content.
        style_layers=("relu1", "relu2", "relu3", "relu4", "relu5"),
        content_layers=("relu3",),
        weights=packaged.ALEXNET,
        ignored_weights=("classifier.*",),
    )


# --- SqueezeNet 1.1 (Iandola et al. 2016) -----------------------------------------------------


def _squeezenet1_1() -> Backbone:
    return Backbone(
        name="squeezenet1_1",
        architecture="torchvision squeezenet1_1",
        build=partial(zoo.whole, "squeezenet1_1"),
        layers=_squeezenet_layers(),
        preprocessing=CAFFE,
        # Stanford CS231n, assignment 3 (StyleTransfer-PyTorch): style (1, 4, 6, 7), content 3.
        style_layers=("relu_conv1", "fire3/concat", "fire4/concat", "fire5/concat"),
        content_layers=("fire2/concat",),
        classes=zoo.imagenet_classes(),
        weights=packaged.SQUEEZENET1_1,
        # Weights in a file are most likely torchvision's, which were trained separately.
        file_preprocessing=IMAGENET,
    )


def _squeezenet_layers() -> dict[str, str]:
    """SqueezeNet_v1.1/deploy.prototxt of https://github.com/forresti/SqueezeNet."""
    layers = {"conv1": "features.0", "relu_conv1": "features.1", "pool1": "features.2"}
    layers |= _fire("fire2", "features.3") | _fire("fire3", "features.4") | {"pool3": "features.5"}
    layers |= _fire("fire4", "features.6") | _fire("fire5", "features.7") | {"pool5": "features.8"}
    layers |= _fire("fire6", "features.9") | _fire("fire7", "features.10")
    layers |= _fire("fire8", "features.11") | _fire("fire9", "features.12")
    return layers | {
        "conv10": "classifier.1",
        "relu_conv10": "classifier.2",
        "pool10": "classifier.3",
    }


def _fire(name: str, path: str) -> dict[str, str]:
    parts = {
        f"{name}/{relu}{branch}": f"{path}.{branch_path}{activation}"
        for branch, branch_path in (
            ("squeeze1x1", "squeeze"),
            ("expand1x1", "expand1x1"),
            ("expand3x3", "expand3x3"),
        )
        for relu, activation in (("", ""), ("relu_", "_activation"))
    }
    return parts | {f"{name}/concat": path}


# --- GoogLeNet (Szegedy et al. 2014) ----------------------------------------------------------


def _googlenet() -> Backbone:
    options = {"aux_logits": False, "transform_input": False, "init_weights": False}
    return Backbone(
        name="googlenet",
        architecture="torchvision googlenet",
        build=partial(zoo.whole, "googlenet", **options),
        layers=_googlenet_layers(),
        preprocessing=TENSORFLOW,
        # lucid, notebooks/differentiable-parameterizations/style_transfer_2d.ipynb: conv2d2,
        # mixed3a, mixed4a, mixed4b, mixed4c; content mixed3b.
        style_layers=("conv3", "inception3a", "inception4a", "inception4b", "inception4c"),
        content_layers=("inception3b",),
        classes=zoo.imagenet_classes(),
        weights=zoo.weights("googlenet"),
        ignored_weights=("aux1.*", "aux2.*"),
    )


def _googlenet_layers() -> dict[str, str]:
    """Layer outputs after batch norm and ReLU, which torchvision keeps in one module."""
    layers = {"conv1": "conv1", "pool1": "maxpool1", "conv2": "conv2", "conv3": "conv3"}
    layers["pool2"] = "maxpool2"
    for stage, blocks in ((3, "ab"), (4, "abcde"), (5, "ab")):
        for block in blocks:
            layers |= _inception(f"inception{stage}{block}")
        if stage < 5:
            layers[f"pool{stage}"] = f"maxpool{stage}"
    return layers | {"avgpool": "avgpool", "logits": "fc"}


def _inception(name: str) -> dict[str, str]:
    # The paper's names. Torchvision's converted network has a 3x3 instead of the 5x5.
    return {
        f"{name}/1x1": f"{name}.branch1",
        f"{name}/3x3_reduce": f"{name}.branch2.0",
        f"{name}/3x3": f"{name}.branch2.1",
        f"{name}/5x5_reduce": f"{name}.branch3.0",
        f"{name}/5x5": f"{name}.branch3.1",
        f"{name}/pool": f"{name}.branch4.0",
        f"{name}/pool_proj": f"{name}.branch4.1",
        name: name,
    }


# --- ResNet (He et al. 2016) ------------------------------------------------------------------


def _resnet(name: str, blocks: Sequence[int]) -> Backbone:
    """A ResNet; ``blocks`` holds the number of blocks in each of its four stages."""
    stages = {f"layer{stage}": count for stage, count in enumerate(blocks, start=1)}
    layers = {"conv1": "conv1", "relu1": "relu", "pool1": "maxpool"}
    for stage, count in stages.items():
        layers |= {f"{stage}.{block}": f"{stage}.{block}" for block in range(count)}
    last = [f"{stage}.{count - 1}" for stage, count in stages.items()]
    return Backbone(
        name=name,
        architecture=f"torchvision {name}",
        build=partial(zoo.whole, name),
        layers=layers | {"avgpool": "avgpool", "logits": "fc"},
        preprocessing=IMAGENET,
        # A guess: one layer of each resolution for the style, half the depth for the content.
        style_layers=("relu1", *last),
        content_layers=(last[1],),
        classes=zoo.imagenet_classes(),
        weights=zoo.weights(name),
    )


_REGISTRY: dict[str, Callable[[], Backbone]] = {
    "vgg16": lambda: _vgg("vgg16", (2, 2, 3, 3, 3), packaged.VGG16),
    "vgg19": lambda: _vgg("vgg19", (2, 2, 4, 4, 4), zoo.weights("vgg19")),
    "alexnet": _alexnet,
    "squeezenet1_1": _squeezenet1_1,
    "googlenet": _googlenet,
    "resnet18": lambda: _resnet("resnet18", (2, 2, 2, 2)),
    "resnet50": lambda: _resnet("resnet50", (3, 4, 6, 3)),
}

NAMES: tuple[str, ...] = tuple(_REGISTRY)
