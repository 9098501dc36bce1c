import pytest
import torch
from torch import nn

from nstbatch.exporter.networks import backbones
from nstbatch.exporter.networks.layers import activations
from nstbatch.runtime.bundles.bundle import builtin_folder
from nstbatch.runtime.bundles.exportable import EXPORTABLE
from nstbatch.runtime.errors import UnknownNameError

# torchvision's documentation gives the parameters of the whole networks: VGG-16 138357544,
# VGG-19 143667240, AlexNet 61100840. Here without the fully connected layers.
PARAMETERS = {
    "vgg16": 138357544 - 123642856,
    "vgg19": 143667240 - 123642856,
    "alexnet": 61100840 - 58631144,
    "squeezenet1_1": 1235496,
    "googlenet": 6624904,
    "resnet18": 11689512,
    "resnet50": 25557032,
}


def test_the_runtime_knows_which_networks_can_be_exported():
    built_in = {path.parent.name for path in builtin_folder().glob("*/bundle.json")}
    assert {*EXPORTABLE} == {*backbones.NAMES} - built_in


@pytest.fixture(scope="module", params=backbones.NAMES)
def backbone(request):
    return backbones.get(request.param)


@pytest.fixture(scope="module")
def network(backbone):
    torch.manual_seed(0)
    return backbone.build()


def test_an_unknown_backbone_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"Did you mean 'vgg16'\? Known: vgg16, vgg19"):
        backbones.get("vgg166")


def test_every_layer_runs_in_the_order_of_its_name(backbone, network):
    paths = list(backbone.layers.values())
    outputs = activations(network, paths, torch.randn(2, 3, 64, 70))
    assert list(outputs) == paths
    for output in outputs.values():
        assert output.ndim in (2, 4)
        assert len(output) == 2


def test_suggested_layers_are_layers_with_positions(backbone, network):
    suggested = (*backbone.style_layers, *backbone.content_layers)
    assert backbone.style_layers
    assert backbone.content_layers
    outputs = activations(
        network, [backbone.layers[name] for name in suggested], torch.randn(1, 3, 96, 96)
    )
    assert all(output.shape[2:].numel() > 1 for output in outputs.values())


def test_a_network_is_frozen_and_works_nowhere_in_place(network):
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(getattr(module, "inplace", False) for module in network.modules())


def test_the_number_of_parameters_is_the_published_one(backbone, network):
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == PARAMETERS[backbone.name]


def test_random_weights_keep_activations_alive_at_any_depth(backbone, network):
    outputs = activations(network, list(backbone.layers.values()), torch.randn(1, 3, 64, 64))
    sizes = torch.stack([output.abs().mean() for output in outputs.values()])
    assert sizes.isfinite().all()
    assert sizes.min() > 1e-2
    assert sizes.max() < 1e3


def test_random_weights_follow_the_seed():
    build = backbones.get("alexnet").build
    first, second = (build_seeded(build, 1) for _ in range(2))
    other = build_seeded(build, 2)
    assert torch.equal(first["features.0.weight"], second["features.0.weight"])
    assert not torch.equal(first["features.0.weight"], other["features.0.weight"])


def build_seeded(build, seed):
    torch.manual_seed(seed)
    return build().state_dict()


@pytest.mark.parametrize(("name", "convolutions"), [("vgg16", 13), ("vgg19", 16), ("alexnet", 5)])
def test_names_of_vgg_and_alexnet_layers_tell_what_they_are(name, convolutions):
    backbone = backbones.get(name)
    network = backbone.build()
    kinds = {"conv": nn.Conv2d, "relu": nn.ReLU, "pool": nn.MaxPool2d}
    for layer, path in backbone.layers.items():
        assert type(network.get_submodule(path)) is kinds[layer[:4]]
    assert sum(layer.startswith("conv") for layer in backbone.layers) == convolutions
    assert list(backbone.layers)[-1].startswith("pool5")


def test_vgg_blocks_end_with_their_pooling():
    layers = list(backbones.get("vgg19").layers)
    assert layers[layers.index("conv3_1") :][:9] == [
        "conv3_1", "relu3_1", "conv3_2", "relu3_2", "conv3_3", "relu3_3", "conv3_4", "relu3_4",
        "pool3",
    ]  # fmt: skip


def test_squeezenet_has_the_names_of_its_prototxt():
    layers = list(backbones.get("squeezenet1_1").layers)
    assert layers[:12] == [
        "conv1",
        "relu_conv1",
        "pool1",
        "fire2/squeeze1x1",
        "fire2/relu_squeeze1x1",
        "fire2/expand1x1",
        "fire2/relu_expand1x1",
        "fire2/expand3x3",
        "fire2/relu_expand3x3",
        "fire2/concat",
        "fire3/squeeze1x1",
        "fire3/relu_squeeze1x1",
    ]
    pools = [layer for layer in layers if "pool" in layer or layer.endswith("concat")]
    assert pools == [
        "pool1", "fire2/concat", "fire3/concat", "pool3", "fire4/concat", "fire5/concat", "pool5",
        "fire6/concat", "fire7/concat", "fire8/concat", "fire9/concat", "pool10",
    ]  # fmt: skip
    assert len(layers) == 3 + 8 * 7 + 2 + 3


def test_squeezenet_ends_in_a_score_for_every_class():
    backbone = backbones.get("squeezenet1_1")
    path = backbone.layers["pool10"]
    scores = activations(backbone.build(), [path], torch.rand(2, 3, 64, 80))[path]
    assert scores.shape == (2, len(backbone.classes), 1, 1)


def test_classes_are_the_thousand_of_imagenet():
    classes = backbones.get("squeezenet1_1").classes
    assert len(classes) == 1000
    assert classes[281] == "tabby"
    assert backbones.get("vgg16").classes == ()


def test_googlenets_preprocessing_is_torchvisions_transform_of_its_input():
    from nstbatch.exporter.networks import zoo

    torchvision = zoo.models().googlenet(
        weights=None, transform_input=True, aux_logits=False, init_weights=False
    )
    image = torch.rand(1, 3, 4, 5, dtype=torch.float64)
    expected = torchvision._transform_input(normalised(image, backbones.IMAGENET))
    ours = normalised(image, backbones.get("googlenet").preprocessing)
    torch.testing.assert_close(ours, expected)


def normalised(image, preprocessing):
    mean, std = (
        torch.tensor(values, dtype=image.dtype)[:, None, None]
        for values in (preprocessing.mean, preprocessing.std)
    )
    return (image * preprocessing.scale - mean) / std
