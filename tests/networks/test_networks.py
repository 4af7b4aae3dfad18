from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convprof import networks
from convprof.errors import ProblemError, UnknownNameError
from convprof.networks.summary import summarise
from convprof.problems import Conv2d, Gemm, parse

if TYPE_CHECKING:
    from convprof.networks import Images


def images_of(name: str) -> Images:
    return networks.definition(name).images


@pytest.mark.parametrize("name", networks.names())
@given(data=st.data())
@settings(max_examples=6, deadline=None)
def test_other_sizes_chain_and_all_but_the_parameters_grow_with_the_minibatch(name, data):
    images = images_of(name)
    steps = data.draw(st.integers(0, 16 if images.step > 1 else 300))
    image = images.least + steps * images.step
    mb = data.draw(st.integers(2, 9))
    one, many = (summarise(networks.network(name, n, image)) for n in (1, mb))
    assert one.total.parameters == many.total.parameters
    assert mb * one.total.macs == many.total.macs
    assert mb * one.total.flops == many.total.flops
    for a, b in zip(one.rows, many.rows, strict=True):
        assert (mb * a.output[0], *a.output[1:]) == b.output
        assert a.cost.bytes_min <= b.cost.bytes_min <= mb * a.cost.bytes_min


@pytest.mark.parametrize("name", networks.names())
def test_the_least_image_is_the_least(name, monkeypatch):
    images = images_of(name)
    assert networks.network(name, image=images.least)
    with pytest.raises(ProblemError, match=f"{name}: image={images.least - 1}: must be at least"):
        networks.network(name, image=images.least - 1)
    if images.least > 1:  # and that is no arbitrary limit: the graph itself refuses less
        anything = replace(networks.definition(name), images=replace(images, least=1, step=1))
        monkeypatch.setattr(networks, "definition", lambda _: anything)
        with pytest.raises(ProblemError, match="does not fit"):
            networks.network(name, image=images.least - 1)


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
    for layer in networks.layers(name, mb=2, image=252 if name == "vit-h14" else 256):
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
    assert [p.name for p in networks.find("*:conv1")] == [
        f"{name}:conv1" for name in ("mnist-cnn", "lenet5", "resnet18", "resnet50", "mobilenet-v1")
    ]
    assert networks.find("vit-b16:*.qk", mb=8)[0].dims()["batch"] == 8 * 12


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resnet5", "unknown network 'resnet5': did you mean resnet50 or "),
        ("vgg16:features.1", "unknown layer of vgg16: 'features.1': did you mean features."),
        ("resnet50:", "unknown layer of resnet50: '': known: conv1, "),
        ("nope:*", "unknown network 'nope': known: alexnet, convnext-t, "),
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
        ("vit-b16", {"image": 0}, "vit-b16: image=0: must be at least 16"),
        ("vit-h14", {"image": 256}, "vit-h14: image=256: must be a multiple of 14"),
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
