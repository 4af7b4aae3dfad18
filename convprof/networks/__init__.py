"""Networks as lists of problems, looked up by name: ``resnet50:layer1.0.conv2``.

To add a network, write one module with ``layers(mb, image)`` and one line in ``_MODULES``.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from convprof.errors import ProblemError, UnknownNameError
from convprof.networks.layer import Layer
from convprof.problems.checks import size

if TYPE_CHECKING:
    from convprof.problems import Problem

_MODULES = {
    "resnet50": "resnet50",
    "vgg16": "vgg16",
    "mobilenet-v1": "mobilenet_v1",
    "vit-b16": "vit_b16",
}

__all__ = ["Layer", "find", "layers", "names"]


def names() -> list[str]:
    """Return the names of the networks."""
    return list(_MODULES)


def layers(name: str, mb: int = 1, image: int = 224) -> list[Layer]:
    """Return a network's layers in the order of execution, for square images of that size.

    Every problem is named ``network:layer``. Raises UnknownNameError for an unknown network,
    ProblemError naming the network when the sizes do not suit it.
    """
    if name not in _MODULES:
        raise UnknownNameError.of("network", name, names())
    module = importlib.import_module(f"convprof.networks.{_MODULES[name]}")
    try:
        found = list(module.layers(mb=size("mb", mb), image=size("image", image)))
    except ProblemError as error:
        raise ProblemError(f"{name}: {error}") from None
    return [
        Layer(layer.name, replace(layer.problem, name=f"{name}:{layer.name}")) for layer in found
    ]


def find(text: str, mb: int = 1, image: int = 224) -> list[Problem]:
    """Return the problems of ``network:layer``: either may be a glob, and no layer means all.

    Raises UnknownNameError when no network or no layer of that name exists.
    """
    wanted, _, pattern = text.partition(":")
    networks = [name for name in names() if fnmatchcase(name, wanted.lower())]
    if not networks:
        raise UnknownNameError.of("network", wanted, names())
    everything = [(name, layer) for name in networks for layer in layers(name, mb, image)]
    if ":" not in text:
        pattern = "*"
    found = [layer.problem for _, layer in everything if fnmatchcase(layer.name, pattern)]
    if not found:
        raise UnknownNameError.of(
            f"layer of {' or '.join(networks)}:", pattern, (layer.name for _, layer in everything)
        )
    return found
