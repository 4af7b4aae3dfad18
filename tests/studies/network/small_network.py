"""A small network as ``network NAME`` has measured it, for tests of its answer and its tables."""

from __future__ import annotations

from dataclasses import replace

from convprof.measure.report import describe
from convprof.networks.steps import steps
from convprof.problems import NetworkProblem
from convprof.problems.graph import Builder, Network
from convprof.problems.ops import Activation, AdaptiveAverage, Convolution, Flatten, Linear
from convprof.results import Cycles, Flops, Measurement, Time
from convprof.stats import Ratio
from convprof.studies.comparison import Comparison
from convprof.studies.network.layers import Layer
from convprof.studies.network.options import Options
from convprof.studies.network.study import NetworkResult


def small():
    net = Builder()
    net.add("layer1.0.conv1", Convolution.square(16, 3, stride=2, bias=True))
    net.add("layer1.0.depthwise", Convolution.square(16, 3, groups=16))
    net.add("layer1.0.relu", Activation("relu"))
    net.add("pool", AdaptiveAverage(1, 1))
    net.add("flatten", Flatten())
    net.add("fc", Linear(10))
    return Network("small", (1, 8, 32, 32), tuple(net.nodes))


def measured(problem, seconds, cache="hot", **fields):
    flops = problem.flops
    cycles = Cycles(3e9 * seconds, 3e9 * seconds / flops if flops else None, "calibrated", 3e9)
    made = Measurement(
        problem=describe(problem), strategy="auto", layout="nhwc", dtype="f32", threads=2,
        cache=cache, status="ok", cycles=cycles, flops=Flops(flops, flops), max_rel_error=2e-7,
        flop_per_s=flops / seconds, time_s=Time(seconds, 0, 0.9 * seconds, seconds, seconds, 25, 1),
    )  # fmt: skip
    return replace(made, **fields)


HOT = {"layer1.0.conv1": 40e-6, "layer1.0.depthwise": 20e-6, "layer1.0.relu": 2e-6, "pool": 3e-6}
HOT |= {"fc": 0.5e-6}
IN_CHAIN = {"layer1.0.conv1": 46e-6, "layer1.0.depthwise": 19e-6, "layer1.0.relu": 5e-6}
IN_CHAIN |= {"pool": 4e-6, "fc": 1e-6}
BY = {"layer1.0.conv1": "winograd", "layer1.0.depthwise": "microkernel", "fc": "packed"}


def layers():
    found = []
    for step in steps(small()):
        if step.name == "flatten":
            found.append(Layer(step, None, None, None, None, None, view=True))
            continue
        hot = measured(step.problem, HOT[step.name])
        cold = measured(step.problem, 3 * HOT[step.name], "cold")
        bound = "memory" if step.problem.kind == "operation" else "compute"
        by = BY.get(step.name, "vectors")
        found.append(Layer(step, hot, cold, IN_CHAIN[step.name], 0.25, bound, by))
    return found


def found(chain_s=70e-6, **changes):
    whole = NetworkProblem(small())
    chain = measured(whole, chain_s, phases=IN_CHAIN, peak_fraction=0.04, strategy="chain")
    made = NetworkResult(
        network="small",
        input=(1, 8, 32, 32),
        options=Options(threads=2),
        layers=layers(),
        chain=chain,
        conversions={},
        libraries=[
            Comparison(replace(chain, strategy="torch"), chain, Ratio(1.414, 1.38, 1.44, 25))
        ],
        excluded=[],
    )
    return replace(made, **changes)
