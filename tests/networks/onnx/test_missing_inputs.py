"""Nodes without inputs that their operators need: refused in a line that names the node."""

from __future__ import annotations

import pytest

onnx = pytest.importorskip("onnx", reason="needs the onnx package")

from convprof.errors import InputError  # noqa: E402
from convprof.networks.onnx.converters import CONVERTERS  # noqa: E402
from convprof.networks.onnx.expanding import EXPANSIONS, MICROSOFT  # noqa: E402

GIVEN = ("", "_", "_ _", "_ x", "x _", "x x", "x x _", "_ x x", "x _ x x")
"""``_`` for an input that is left out."""
OPERATORS = sorted(
    {*EXPANSIONS, *(("" if onnx.defs.has(kind) else MICROSOFT, kind) for kind in CONVERTERS)}
)


def with_domain(model):
    model.opset_import.append(onnx.helper.make_opsetid(MICROSOFT, 1))


@pytest.mark.parametrize(("domain", "kind"), OPERATORS)
def test_an_answer_or_one_line(imported, domain, kind):
    for given in GIVEN:
        names = [name.strip("_") for name in given.split()]
        made = onnx.helper.make_node(kind, names, ["a"], domain=domain)
        nodes = [made, onnx.helper.make_node("Add", ["x", "a"], ["y"])]
        said = kind
        try:
            imported(nodes, (2, 5, 12), change=with_domain)
        except InputError as error:
            said = str(error)
        assert "node" in said or kind in said
