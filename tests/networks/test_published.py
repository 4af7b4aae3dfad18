"""TrainingTotals and layers of every network, against what was published."""

from __future__ import annotations

import pytest

from convprof import networks
from convprof.networks.summary import summarise

PARAMETERS = {  # torchvision's where it has the network
    "mnist-cnn": 3_274_634,
    "lenet5": 61_706,
    "alexnet": 61_100_840,
    "vgg16": 138_357_544,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "mobilenet-v1": 4_231_976,
    "mobilenet-v2": 3_504_872,
    "efficientnet-b0": 5_288_548,
    "convnext-t": 28_589_128,
    "vit-b16": 86_567_656,
    "vit-l16": 304_326_632,
    "vit-h14": 632_045_800,
}

GMACS = {  # in 10^9, and to how many digits they were published
    "alexnet": (0.71, 2),
    "vgg16": (15.47, 2),
    "resnet18": (1.814, 3),
    "resnet50": (4.089, 3),
    "mobilenet-v1": (0.569, 3),
    "mobilenet-v2": (0.301, 3),
    "efficientnet-b0": (0.386, 3),
    "convnext-t": (4.456, 3),
    "vit-b16": (17.564, 3),
    "vit-l16": (61.555, 3),
    "vit-h14": (167.295, 3),
}

LAYERS = {  # convolutions and linear layers; attention's products are none of these
    "mnist-cnn": 4,
    "lenet5": 5,
    "alexnet": 8,
    "vgg16": 16,
    "resnet18": 18 + 3,  # three of the shortcuts have a convolution
    "resnet50": 50 + 4,
    "mobilenet-v1": 28,
    "mobilenet-v2": 53,
    "efficientnet-b0": 1 + 2 + 15 * 3 + 16 * 2 + 1 + 1,  # two in each of the 16 gates
    "convnext-t": 1 + 3 + 18 * 3 + 1,
    "vit-b16": 1 + 12 * 4 + 1,
    "vit-l16": 1 + 24 * 4 + 1,
    "vit-h14": 1 + 32 * 4 + 1,
}


def vit_macs(patch: int, width: int, blocks: int) -> int:
    patches, mlp = (224 // patch) ** 2, 4 * width
    tokens = patches + 1
    projections = tokens * (width * 3 * width + width * width + 2 * width * mlp)
    attention = 2 * tokens * tokens * width  # q k^T and p v, over all heads
    stem = patches * width * (3 * patch * patch)
    return stem + blocks * (projections + attention) + width * 1000


EXACT_MACS = {
    "mnist-cnn": 28 * 28 * 32 * 25 + 14 * 14 * 64 * 25 * 32 + 3136 * 1024 + 1024 * 10,
    "lenet5": 28 * 28 * 6 * 25 + 100 * 16 * 150 + 400 * 120 + 120 * 84 + 84 * 10,
    "resnet50": 4_089_184_256,
    "vgg16": 15_470_264_320,
    "mobilenet-v1": 568_740_352,
    "vit-b16": vit_macs(16, 768, 12),
    "vit-l16": vit_macs(16, 1024, 24),
    "vit-h14": vit_macs(14, 1280, 32),
}


def test_every_network_has_its_published_totals():
    assert list(PARAMETERS) == list(LAYERS) == networks.names()
    assert set(GMACS) | set(EXACT_MACS) == set(networks.names())


@pytest.mark.parametrize("name", networks.names())
def test_parameters(name):
    assert PARAMETERS[name] == summarise(networks.network(name)).total.parameters


@pytest.mark.parametrize(("name", "published"), GMACS.items())
def test_macs(name, published):
    expected, digits = published
    assert expected == round(summarise(networks.network(name)).total.macs / 1e9, digits)


@pytest.mark.parametrize(("name", "expected"), EXACT_MACS.items())
def test_exact_macs(name, expected):
    assert expected == summarise(networks.network(name)).total.macs
    assert 3 * expected == sum(layer.problem.macs for layer in networks.layers(name, mb=3))


@pytest.mark.parametrize("name", networks.names())
def test_as_many_layers_as_the_paper_says(name):
    found = networks.layers(name)
    assert LAYERS[name] == sum(not layer.name.endswith((".qk", ".pv")) for layer in found)


@pytest.mark.parametrize("name", networks.names())
def test_the_result_is_a_score_per_class(name):
    classes = 10 if name in {"mnist-cnn", "lenet5"} else 1000
    assert networks.network(name, mb=5).output == (5, classes)


def test_names_of_nodes():
    names = [node.name for node in networks.network("resnet18").nodes]
    assert names[:11] == [
        "conv1",
        "bn1",
        "relu",
        "maxpool",
        "layer1.0.conv1",
        "layer1.0.bn1",
        "layer1.0.relu",
        "layer1.0.conv2",
        "layer1.0.bn2",
        "layer1.0.add",
        "layer1.0.relu_1",
    ]
    names = [node.name for node in networks.network("efficientnet-b0").nodes]
    assert {"features.1.0.block.1.scale_activation", "features.2.1.add"} <= set(names)
    assert "features.2.0.add" not in names  # its shape changes


@pytest.mark.parametrize(
    ("name", "node", "expected"),
    [
        ("resnet50", "layer2.0.downsample.0", ["layer1.2.relu_2"]),
        ("resnet50", "layer2.0.add", ["layer2.0.bn3", "layer2.0.downsample.1"]),
        ("resnet50", "layer2.1.add", ["layer2.1.bn3", "layer2.0.relu_2"]),
        ("mobilenet-v2", "features.3.add", ["features.2.conv.3", "features.3.conv.3"]),
        ("efficientnet-b0", "features.2.0.block.2.avgpool", ["features.2.0.block.1.2"]),
        (
            "efficientnet-b0",
            "features.2.0.block.2.mul",
            ["features.2.0.block.2.scale_activation", "features.2.0.block.1.2"],
        ),
        ("convnext-t", "features.3.0.add", ["features.3.0.layer_scale", "features.2.1"]),
        (
            "vit-b16",
            "encoder.layers.1.self_attention.pv",
            ["encoder.layers.1.self_attention.softmax", "encoder.layers.1.self_attention.in_proj"],
        ),
        (
            "vit-b16",
            "encoder.layers.1.add",
            ["encoder.layers.1.self_attention.out_proj", "encoder.layers.0.add_1"],
        ),
        (
            "vit-b16",
            "encoder.layers.1.add_1",
            ["encoder.layers.1.add", "encoder.layers.1.mlp.3"],
        ),
    ],
)
def test_branches_read_the_right_nodes(name, node, expected):
    found = {n.name: list(n.inputs) for n in networks.network(name).nodes}
    assert expected == found[node]
