"""``study threads --cores 2`` against measurement: the convolutions of ResNet-50.

    python tests/benchmarks/predicted_threads.py [--budget SECONDS] [--layout nhwc|nchw] [-s NAME]

A line per layer, then median and worst error of the predicted time on two threads. The project's
limits are 5 % in the median and 15 % in the worst case, on an idle machine.
"""

from __future__ import annotations

import argparse
import sys

from convprof import networks, stats
from convprof.dtypes import types
from convprof.machine import core_latency, facts
from convprof.machine.model import MachineModel
from convprof.measure.operands import draw
from convprof.problems import Conv2d
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.studies.study.predicted import Barriers, Trial

MEDIAN, WORST = 0.05, 0.15


def main() -> int:
    """Return 1 if the errors exceed the limits."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--budget", type=float, default=0.3)
    parser.add_argument("--layout", default="nhwc")
    parser.add_argument("-s", "--strategy", default="microkernel")
    chosen = parser.parse_args()
    known = core_latency.typical(MachineModel.here().core_latencies)
    latency_s = core_latency.slowest_of_few() if known is None else known
    barriers = Barriers(latency_s, facts().topology.usable_cores)
    errors = []
    distinct = {}
    for layer in networks.layers("resnet50"):
        if layer.problem.kind == Conv2d.kind:
            distinct.setdefault(layer.problem, [0, layer.problem.name])[0] += 1
    for problem, (times, name) in distinct.items():
        setting = Setting(chosen.layout, tune="off")
        strategy = registry.find(problem.kind, chosen.strategy)
        operands = draw(problem, types("f32"), 0).all(chosen.layout)
        trial = Trial(strategy, strategy, problem, setting, operands, barriers, chosen.budget)
        made = trial.predict(2, measured=True)
        error = made.seconds / made.measured_s - 1
        errors += [abs(error)] * times
        print(
            f"{name:30} x{times}  one {1e6 * made.one_s:7.0f} µs  "
            f"two {1e6 * made.measured_s:7.0f}  "
            f"predicted {1e6 * made.seconds:7.0f} ({100 * error:+5.1f} %)  "
            f"balance {100 * made.balance:3.0f} %  work {100 * made.inflation:3.0f} %  "
            f"barriers {1e6 * made.barriers_s:.1f} µs  shared lines {made.lines}",
            flush=True,
        )
    middle, worst = stats.median(errors), max(errors)
    print(
        f"{len(errors)} convolutions: median error {100 * middle:.1f} %, worst {100 * worst:.1f} %"
    )
    return int(middle > MEDIAN or worst > WORST)


if __name__ == "__main__":
    sys.exit(main())
