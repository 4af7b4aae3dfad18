"""Is one installed version of convprof as fast as another one?

    python tests/benchmarks/two_versions.py OLD/bin/python NEW/bin/python [--rounds 41]

Each version runs in a process of its own, on one thread. The two take turns: a round is one sample
of each, in an order that changes from round to round. ``A/A`` (the same interpreter twice) shows
what the method itself costs. Printed per problem: the median of new / old over the rounds and its
95 % interval; then the geometric mean. The blockings are the model's choices, so both versions
compute alike. The network is a chain of layers, timed by the command ``network`` in turns.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess

WORKER = """
import json, sys, time
import numpy as np
import convprof
from convprof.problems import parse

def prepare(text, strategy, layout):
    problem = parse(text)
    prepared = convprof.prepare(problem, strategy, layout)
    random = np.random.default_rng(0)
    if problem.kind == "conv2d":
        sizes = (problem.n, problem.c, problem.h, problem.w)
        n, c, h, w = sizes
        shapes = [sizes if layout == "nchw" else (n, h, w, c), problem.weight_shape]
    elif problem.kind == "gemm":
        shapes = [problem.a_shape, problem.b_shape]
    else:
        shapes = [problem.shape, (2, *problem.shape)]
    prepared.bind(*(random.random(shape, dtype=np.float32) - 0.5 for shape in shapes))
    return prepared

def seconds(prepared, calls):
    start = time.perf_counter()
    for _ in range(calls):
        prepared.run()
    return (time.perf_counter() - start) / calls

prepared = None
for line in sys.stdin:
    order = json.loads(line)
    if "text" in order:
        prepared = prepare(order["text"], order["strategy"], order["layout"])
        seconds(prepared, 3)
        answer = seconds(prepared, 3)
    else:
        prepared.run()  # the first call after the other version's turn finds cold caches
        answer = seconds(prepared, order["calls"])
    print(json.dumps(answer), flush=True)
"""

PROBLEMS = (
    ("mb1ic64ih56oc64oh56kh3ph1", "microkernel", "nhwc"),
    ("mb1ic128ih28oc128oh28kh3ph1", "microkernel", "nhwc"),
    ("mb1ic256ih14oc256oh14kh3ph1", "microkernel", "nchw"),
    ("mb1ic3ih224oc64oh112kh7sh2ph3", "microkernel", "nhwc"),
    ("mb1ic256ih56oc64oh56kh1ph0", "microkernel", "nhwc"),
    ("mb1ic256ih56oc512oh28kh1sh2ph0", "microkernel", "nchw"),
    ("g32mb1ic32ih112oc32oh112kh3ph1", "microkernel", "nhwc"),
    ("mb1ic128ih28oc128oh28kh3ph1", "winograd", "nhwc"),
    ("mb1ic512ih7oc512oh7kh3ph1", "winograd", "nhwc"),
    ("mb1ic64ih56oc64oh56kh3ph1", "im2col", "nchw"),
    ("mb1ic64ih28oc64oh28kh3ph1", "tiled", "nchw"),
    ("mb1ic16ih28oc16oh28kh3ph1", "direct", "nchw"),
    ("512x512:512x512", "packed", "nchw"),
    ("1024x1024:1024x1024", "packed", "nchw"),
    ("197x768:768x3072", "prepacked", "nchw"),
    ("16x4096:4096x4096", "packed", "nchw"),
    ("16x40x64:16x64x40", "packed", "nchw"),
    ("256x256:256x256", "tiled", "nchw"),
    ("attention:1x12x197x64", "fused", "nchw"),
)
CHAIN = ("network", "resnet18", "--fuse", "--tune", "off", "-t", "1", "--json", "-", "-q")
SAMPLE_S = 0.02


class Version:
    """One interpreter with convprof installed, waiting for orders."""

    def __init__(self, python: str) -> None:
        self.python = python
        self._process = subprocess.Popen(
            [python, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **order: object) -> float:
        """Send an order; return the seconds per call that come back."""
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return float(json.loads(self._process.stdout.readline()))

    def chain(self) -> float:
        """Return the median time of the network as a chain, in a process of its own."""
        command = [self.python, "-m", "convprof", *CHAIN]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows = json.loads(done.stdout)["measurements"]
        return next(r["time_s"]["median"] for r in rows if r["problem"]["kind"] == "network")


def interval(ratios: list[float]) -> tuple[float, float, float]:
    """Return the median and the 95 % interval of it that the order statistics give."""
    ordered = sorted(ratios)
    count = len(ordered)
    below = max(0, math.floor(count / 2 - 0.98 * math.sqrt(count)))
    return statistics.median(ordered), ordered[below], ordered[count - 1 - below]


def compare(old: Version, new: Version, problem: tuple[str, str, str], rounds: int) -> list[float]:
    """Return new / old of every round."""
    text, strategy, layout = problem
    took = [v.ask(text=text, strategy=strategy, layout=layout) for v in (old, new)]
    calls = max(1, round(SAMPLE_S / min(took)))
    ratios = []
    for number in range(rounds):
        order = (old, new) if number % 2 else (new, old)
        times = {version: version.ask(calls=calls) for version in order}
        ratios.append(times[new] / times[old])
    return ratios


def chains(old: Version, new: Version, rounds: int) -> list[float]:
    """Return new / old of the chain's time, the two commands in turns."""
    ratios = []
    for number in range(rounds):
        order = (old, new) if number % 2 else (new, old)
        times = {version: version.chain() for version in order}
        ratios.append(times[new] / times[old])
    return ratios


def main() -> None:
    """Compare the two versions on every problem."""
    parser = argparse.ArgumentParser()
    parser.add_argument("old", help="the interpreter of the version to compare with")
    parser.add_argument("new", help="the interpreter of the other version")
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--chain-rounds", type=int, default=7)
    options = parser.parse_args()
    old, new = Version(options.old), Version(options.new)
    logs = []
    for problem in PROBLEMS:
        median, low, high = interval(compare(old, new, problem, options.rounds))
        logs.append(math.log(median))
        text, strategy, layout = problem
        print(f"{median:6.3f}  [{low:.3f}, {high:.3f}]  {text} {strategy} {layout}", flush=True)
    if options.chain_rounds:
        median, low, high = interval(chains(old, new, options.chain_rounds))
        logs.append(math.log(median))
        print(f"{median:6.3f}  [{low:.3f}, {high:.3f}]  {' '.join(CHAIN)}")
    print(f"geometric mean of new / old: {math.exp(statistics.fmean(logs)):.4f}")


if __name__ == "__main__":
    main()
