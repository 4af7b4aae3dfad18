"""A model of one node with its weights, for the tools that come with ONNX Runtime and OpenVINO."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.dtypes import types
from convprof.measure.operands import draw
from convprof.networks.onnx.package import onnx_package
from convprof.strategies.peers.onnx_nodes import one_node
from convprof.studies.repro.onnx_script import operator

if TYPE_CHECKING:
    from convprof.studies.repro.call import ReproCall

HOW = (
    "benchmark_app -m FILE -hint none -nstreams 1 -nthreads N (OpenVINO), or "
    "onnxruntime_perf_test -x N -I FILE (ONNX Runtime)"
)


def model(call: ReproCall) -> bytes:
    """Return the file; its description has the facts about the measurement."""
    package = onnx_package()
    problem, of = call.problem, types(call.dtype)
    name, attributes = operator(call)
    weights = draw(problem, of, call.seed).all("nchw")[1]
    ends = problem.operands("nchw", of)[0], problem.result("nchw", of)
    bare = package.load_model_from_string(one_node(package, name, attributes, {"w": weights}, ends))
    bare.doc_string = "\n".join([*call.facts(), f"run: {HOW}"])
    data: bytes = bare.SerializeToString()
    return data
