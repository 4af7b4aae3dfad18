"""What the libraries compute of the operations of networks, without any library."""

from __future__ import annotations

import re

import pytest

from convprof import networks
from convprof.networks.onnx.forms import FORMS
from convprof.problems import NetworkProblem, ops
from convprof.problems.graph import Builder, Network, Node
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.peers.torch import strategy
from convprof.strategies.peers.torch.ops import MAKERS


@pytest.mark.parametrize("name", networks.names())
@pytest.mark.parametrize("table", [MAKERS, FORMS], ids=["torch", "onnx"])
def test_libraries_compute_every_network(name, table):
    missing = {type(node.op).__name__ for node in networks.network(name).nodes} - {
        op.__name__ for op in table
    }
    assert missing == set()


@pytest.mark.parametrize("each", [strategy.TorchNetwork, strategy.TorchCompiledNetwork])
def test_pytorch_refuses_an_operation_without_a_call_by_name(each, monkeypatch):
    monkeypatch.delitem(MAKERS, ops.Softmax)
    net = Builder()
    net.add("last", ops.Softmax())
    problem = NetworkProblem(Network("net", (3, 4), tuple(net.nodes)))
    expected = f"{each.name} has no call for softmax (last)"
    assert expected == each().cannot(problem, Setting())


@pytest.mark.parametrize("variant", [{"reset_first": True}, {"has_lengths": True}])
def test_variants_of_recurrent_layers_that_pytorch_lacks(variant):
    op = ops.Recurrent(cell="gru", units=4, **variant)
    lengths = (Node("lengths", ops.Known((2,)), ("input",)),) * op.has_lengths
    nodes = (*lengths, Node("layer", op, ("input", *(each.name for each in lengths))))
    whole = NetworkProblem(Network("net", (3, 2, 5), nodes))
    text = f"has no call for {op.text} \\(layer\\)"
    for name in ("torch", "torch-compile"):
        assert re.search(text, registry.find("network", name).cannot(whole, Setting()))
