"""Networks as graphs, looked up by name, and their layers: ``resnet50:layer1.0.conv2``.

To add a network, write its ``build(net)`` and its entry in ``NETWORKS`` in the module of its
family, and one line in ``_MODULES``.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from convprof.errors import ProblemError, UnknownNameError
from convprof.problems.checks import size
from convprof.problems.graph import Builder, Network

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.problems import Conv2d, Gemm, Problem


_MODULES = {
    "mnist-cnn": "mnist_cnn",
    "lenet5": "lenet5",
    "alexnet": "alexnet",
    "vgg16": "vgg16",
    "resnet18": "resnet",
    "resnet50": "resnet",
    "mobilenet-v1": "mobilenet_v1",
    "mobilenet-v2": "mobilenet_v2",
    "efficientnet-b0": "efficientnet_b0",
    "convnext-t": "convnext_t",
    "vit-b16": "vit",
    "vit-l16": "vit",
    "vit-h14": "vit",
}


def names() -> list[str]:
    """Return the names of the networks."""
    return list(_MODULES)


def network(name: str, mb: int = 1, image: int | None = None) -> Network:
    """Return a network for a minibatch of square images, of the published size if not given.

    Raises UnknownNameError for an unknown network, ProblemError naming the network when the sizes
    do not suit it.
    """
    published = definition(name)
    try:
        side = published.images.side(image)
        shape = (size("mb", mb), published.images.channels, side, side)
        net = Builder()
        published.build(net)
        return Network(name, shape, tuple(net.nodes))
    except ProblemError as error:
        raise ProblemError(error.reason, field=error.field, value=error.value, where=name) from None


def layers(name: str, mb: int = 1, image: int | None = None) -> list[Layer]:
    """Return the convolutions and matrix products of a network in the order of execution.

    Every problem is named ``network:layer``. Raises what ``network`` raises.
    """
    whole = network(name, mb, image)
    problems = ((node.name, whole.problem(node)) for node in whole.nodes)
    return [
        Layer(layer, replace(problem, name=f"{name}:{layer}"))
        for layer, problem in problems
        if problem is not None
    ]


def find(text: str, mb: int = 1, image: int | None = None) -> list[Problem]:
    """Return the problems of ``network:layer``: either may be a glob, and no layer means all.

    Raises UnknownNameError when no network or no layer of that name exists.
    """
    glob, _, pattern = text.partition(":")
    networks = [name for name in names() if fnmatchcase(name, glob.lower())]
    if not networks:
        raise UnknownNameError.of("network", glob, names())
    everything = [(name, layer) for name in networks for layer in layers(name, mb, image)]
    if ":" not in text:
        pattern = "*"
    problems = [layer.problem for _, layer in everything if fnmatchcase(layer.name, pattern)]
    if not problems:
        raise UnknownNameError.of(
            f"layer of {' or '.join(networks)}:", pattern, (layer.name for _, layer in everything)
        )
    return problems


def named(problem: Conv2d | Gemm, name: str) -> Conv2d | Gemm:
    """Return the problem under a name; without a name if that cannot be printed."""
    try:
        return replace(problem, name=name)
    except ProblemError:
        return problem


def definition(name: str) -> Definition:
    """Return how a network is built; UnknownNameError for an unknown one."""
    if name not in _MODULES:
        raise UnknownNameError.of("network", name, names())
    module = importlib.import_module(f"convprof.networks.{_MODULES[name]}")
    networks: dict[str, Definition] = module.NETWORKS
    return networks[name]


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution or product of a network, under its published name (``layer1.0.conv2``)."""

    name: str
    problem: Problem


@dataclass(frozen=True, slots=True)
class Images:
    """Square images of ``channels``; published totals are those at ``published`` pixels a side."""

    published: int = 224
    channels: int = 3
    least: int = 1
    """The smallest side for which the last pooling or stride still has a result."""
    step: int = 1
    """The side must be a multiple of it: the patch of a transformer."""

    def side(self, image: int | None) -> int:
        """Return the side in pixels, the published one for None; ProblemError if impossible."""
        if image is None:
            return self.published
        side = size("image", image, least=self.least)
        if side % self.step:
            raise ProblemError(
                f"must be a multiple of {self.step}, the side of a patch", field="image", value=side
            )
        return side


@dataclass(frozen=True, slots=True)
class Definition:
    """A published network: the function that adds its nodes, and the images that it takes."""

    build: Callable[[Builder], None]
    images: Images = Images()
