"""The time and memory of `convprof diagnose` on a long log.

    python tests/benchmarks/long_logs.py [--megabytes 100] [--form onednn|torch]

Pipes a generated log into the command; prints the processor time and the largest resident memory.
Expected: under 60 s and under 300 MB, whatever the length; memory does not grow with it.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys

PIECE = 2000


def onednn(random_):
    """Return some lines of 300 different convolutions, with the program's own lines between."""
    lines = []
    for _ in range(PIECE):
        channels, size = 16 * random_.randint(1, 40), random_.choice([7, 14, 28, 56])
        lines.append(
            f"onednn_verbose,v1,{random_.uniform(1e12, 2e12):.2f},primitive,exec,cpu,convolution,"
            "brg_conv_fwd:avx512_core,forward_inference,src:f32::blocked:acdb::f0 "
            "wei:f32:a:blocked:Acdb64a::f0 bia:undef::undef::: dst:f32::blocked:acdb::f0,"
            "attr-scratchpad:user attr-post-ops:eltwise_relu,alg:convolution_direct,"
            f"mb1_ic{channels}oc{channels}_ih{size}oh{size}kh3sh1dh0ph1_iw{size}ow{size}"
            f"kw3sw1dw0pw1,{random_.uniform(0.1, 5):.6g}"
        )
        if random_.random() < 0.05:
            lines.append("epoch 3 loss 0.123")
    return "\n".join(lines) + "\n"


def torch(random_, begin=[0.0]):  # noqa: B006  # the time goes on from piece to piece
    """Return some events of a trace: a convolution, the operators inside of it, and a ReLU."""
    dims = [[1, 64, 56, 56], [64, 64, 3, 3], [64], [], [], [], [], [], []]
    concrete = ["", "", "", "[1, 1]", "[1, 1]", "[1, 1]", "False", "[0, 0]", "1"]
    arguments = {"Input Dims": dims, "Concrete Inputs": concrete, "Input type": ["float"]}
    events = []
    for _ in range(PIECE):
        duration = random_.uniform(100, 5000)
        for name, inside in (("convolution", 0), ("_convolution", 10), ("mkldnn_convolution", 20)):
            events.append({
                "ph": "X", "cat": "cpu_op", "name": f"aten::{name}", "pid": 1, "tid": 1,
                "ts": begin[0] + inside, "dur": duration - 2 * inside, "args": arguments,
            })  # fmt: skip
        begin[0] += duration + 1
        events.append({"ph": "X", "cat": "cpu_op", "name": "aten::relu", "pid": 1, "tid": 1,
                       "ts": begin[0], "dur": 50, "args": {}})  # fmt: skip
        begin[0] += 51
    return "".join(f"{json.dumps(event)},\n" for event in events)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--form", choices=["onednn", "torch"], default="onednn")
    asked = parser.parse_args()
    random_ = random.Random(0)
    command = [sys.executable, "-m", "convprof", "diagnose", "-", "--top", "3", "-q"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process:
        written = process.stdin.write('{"traceEvents": [' if asked.form == "torch" else "")
        while written < asked.megabytes * 1_000_000:
            written += process.stdin.write({"onednn": onednn, "torch": torch}[asked.form](random_))
        process.stdin.close()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"\n{written / 1e6:.0f} MB: {used.ru_utime + used.ru_stime:.1f} s of processor time, "
          f"{used.ru_maxrss / 1024:.0f} MiB resident")  # fmt: skip


if __name__ == "__main__":
    main()
