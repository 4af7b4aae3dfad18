from __future__ import annotations

import math

import pytest

from convprof import networks
from convprof.errors import ProblemError, UnknownNameError
from convprof.problems import Conv2d, Gemm, parse


def macs(name: str, **sizes: int) -> int:
    return sum(layer.problem.macs for layer in networks.layers(name, **sizes))


def weights(name: str) -> int:
    total = 0
    for layer in networks.layers(name):
        p = layer.problem
        if isinstance(p, Conv2d):
            total += math.prod(p.weight_shape)
        elif not layer.name.endswith((".qk", ".pv")):
            total += p.k * p.n
    return total


def vit_macs() -> int:
    tokens, width, mlp = (224 // 16) ** 2 + 1, 768, 3072
    projections = tokens * (width * 3 * width + width * width + 2 * width * mlp)
    attention = 2 * tokens * tokens * width  # q k^T and p v, over all heads
    return 196 * 768 * (3 * 16 * 16) + 12 * (projections + attention) + width * 1000


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet50", 4_089_184_256),
        ("vgg16", 15_470_264_320),
        ("mobilenet-v1", 568_740_352),
        ("vit-b16", vit_macs()),
    ],
)
def test_published_macs(name, expected):
    assert expected == macs(name)
    assert 3 * expected == macs(name, mb=3)


def test_vit_is_about_17_and_a_half_gmac():
    assert vit_macs() == 17_563_828_224


def vit_biases_norms_and_embeddings() -> int:
    block = (3 + 1) * 768 + (3072 + 768) + 2 * 2 * 768  # attention, mlp, two layer norms
    return 768 + 197 * 768 + 768 + 12 * block + 2 * 768 + 1000  # class token, positions first


@pytest.mark.parametrize(
    ("name", "published", "others"),
    [  # the published totals, and how many of them are no weights of a convolution or product
        ("resnet50", 25_557_032, 2 * 26_560 + 1000),
        ("vgg16", 138_357_544, 4224 + 4096 + 4096 + 1000),
        ("mobilenet-v1", 4_231_976, 2 * 10_944 + 1000),
        ("vit-b16", 86_567_656, vit_biases_norms_and_embeddings()),
    ],
)
def test_published_parameters(name, published, others):
    assert published - others == weights(name)


@pytest.mark.parametrize(
    ("name", "some"),
    [
        (
            "resnet50",
            ["conv1", "layer1.0.conv1", "layer1.0.downsample.0", "layer4.2.conv3", "fc"],
        ),
        ("vgg16", ["features.0", "features.28", "classifier.0", "classifier.6"]),
        ("mobilenet-v1", ["conv1", "conv2_1.dw", "conv5_6.sep", "conv6.dw", "fc7"]),
        (
            "vit-b16",
            [
                "conv_proj",
                "encoder.layers.0.self_attention.in_proj",
                "encoder.layers.11.self_attention.pv",
                "encoder.layers.11.mlp.3",
                "heads.head",
            ],
        ),
    ],
)
def test_published_names(name, some):
    layers = networks.layers(name)
    names = [layer.name for layer in layers]
    assert len(names) == len(set(names))
    assert set(some) <= set(names)
    assert [f"{name}:{n}" for n in names] == [layer.problem.name for layer in layers]


@pytest.mark.parametrize("name", networks.names())
def test_every_layer_survives_its_text(name):
    for layer in networks.layers(name, mb=2, image=256):
        assert layer.problem == parse(layer.problem.descriptor)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "resnet50:layer3.0.conv2",
            Conv2d(c=256, h=28, w=28, k=256, r=3, s=3, stride=(2, 2), pad=(1, 1)),
        ),
        (
            "resnet50:layer3.0.downsample.0",
            Conv2d(c=512, h=28, w=28, k=1024, r=1, s=1, stride=(2, 2)),
        ),
        ("vgg16:features.28", Conv2d(c=512, h=14, w=14, k=512, r=3, s=3, pad=(1, 1))),
        (
            "mobilenet-v1:conv3_2.dw",
            Conv2d(c=128, h=56, w=56, k=128, r=3, s=3, stride=(2, 2), pad=(1, 1), groups=128),
        ),
        ("vit-b16:encoder.layers.3.self_attention.qk", Gemm(m=197, n=197, k=64, batch=12)),
        ("ResNet50:fc", Gemm(m=1, n=1000, k=2048)),
    ],
)
def test_find_one(text, expected):
    assert [expected] == networks.find(text)


def test_find_by_glob():
    assert len(networks.find("resnet50")) == 54
    assert len(networks.find("resnet50:*.conv2")) == 16
    assert [p.name for p in networks.find("*:conv1")] == ["resnet50:conv1", "mobilenet-v1:conv1"]
    assert networks.find("vit-b16:*.qk", mb=8)[0].dims()["batch"] == 8 * 12


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resnet5", "unknown network 'resnet5': did you mean resnet50?"),
        ("vgg16:features.1", "unknown layer of vgg16: 'features.1': did you mean features."),
        ("resnet50:", "unknown layer of resnet50: '': known: conv1, "),
        ("nope:*", "unknown network 'nope': known: mobilenet-v1, resnet50, vgg16, vit-b16"),
    ],
)
def test_unknown_names(text, message):
    with pytest.raises(UnknownNameError) as caught:
        networks.find(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "sizes", "message"),
    [
        ("vit-b16", {"image": 225}, "vit-b16: image=225: must be a multiple of 16"),
        ("vgg16", {"image": 31}, "vgg16: image=31: must be at least 32"),
        ("resnet50", {"image": 0}, "resnet50: image=0: must be at least 1"),
        ("resnet50", {"image": "big"}, "resnet50: image='big': must be a whole number"),
        ("mobilenet-v1", {"mb": 0}, "mobilenet-v1: mb=0: must be at least 1"),
        ("resnet50", {"image": 2**30}, "resnet50: input of 1x3x1073741824x1073741824: more than"),
    ],
)
def test_impossible_sizes(name, sizes, message):
    with pytest.raises(ProblemError) as caught:
        networks.layers(name, **sizes)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", ["resnet50", "mobilenet-v1"])
def test_the_smallest_image_works(name):
    assert networks.layers(name, image=1)
