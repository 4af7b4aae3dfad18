"""What the libraries compute of the operations of networks, without any library."""

from __future__ import annotations

import pytest

from convprof import networks
from convprof.networks.onnx.forms import FORMS
from convprof.problems import NetworkProblem, ops
from convprof.problems.graph import Builder, Network
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
