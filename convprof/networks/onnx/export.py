"""A network with its weights as an ONNX file, so that other runtimes can run the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.errors import InputError
from convprof.networks.onnx.forms import FORMS, OPSET
from convprof.networks.onnx.load import LARGEST_FILE
from convprof.networks.onnx.opaque_form import has_form
from convprof.networks.onnx.package import onnx_package
from convprof.networks.onnx.quantised_writer import QuantisedWriter
from convprof.networks.onnx.writer import Writer
from convprof.networks.parameters import elements
from convprof.problems.graph import INPUT

if TYPE_CHECKING:
    from convprof.problems.graph import Network, Weights
    from convprof.problems.quantisation import Quantisation

_IR_VERSION = 9
"""It belongs to the version of the operators."""
_ITEMSIZE = 4
_ROOM = 2**24
"""Bytes that are kept for names and nodes."""


def model(network: Network, weights: Weights) -> bytes:
    """Return the file: input ``input``, output named as the last node, all in f32 and NCHW.

    ``weights`` has by name of the node the tensors of ``op.weights`` and ``op.buffers``: filters
    (k, c / groups, r, s), matrices (inputs, outputs). Raises InputError where one is missing or of
    another shape, and for what ``why_not`` says.
    """
    _check(network)
    return _written(Writer(network, weights))


def quantised_model(
    network: Network, weights: Weights, quantisation: Quantisation, *, rounds_sums: bool
) -> bytes:
    """Return the file of a network whose layers compute in bytes; input and output are f32.

    ``rounds_sums``: see ``QuantisedWriter``. Raises what ``model`` raises.
    """
    _check(network)
    return _written(QuantisedWriter(network, weights, quantisation, rounds_sums=rounds_sums))


def _check(network: Network) -> None:
    reason = why_not(network)
    if reason is not None:
        raise InputError(reason)


def _written(writer: Writer) -> bytes:
    """Return the file with every node of the writer's network."""
    package, network = onnx_package(), writer.network
    for node in network.nodes:
        FORMS[type(node.op)](writer, node, node.op)
    helper, real = package.helper, package.TensorProto.FLOAT
    last = network.nodes[-1].name
    graph = helper.make_graph(
        writer.nodes,
        network.name,
        [helper.make_tensor_value_info(INPUT, real, network.input)],
        [helper.make_tensor_value_info(last, real, network.output)],
        writer.initializers,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
    data: bytes = proto.SerializeToString()
    return data


def why_not(network: Network) -> str | None:
    """Return why no ONNX file can hold the network, in one line; None if one can."""
    for node in network.nodes:
        if type(node.op) not in FORMS or not has_form(node.op, OPSET):
            return f"{node.name}: {node.op.text} has no form in ONNX"
    count = elements(network)
    if count * _ITEMSIZE + _ROOM <= LARGEST_FILE:
        return None
    return f"{network.name}: its {count:,} weights do not fit an ONNX file, which holds 2 GiB"
