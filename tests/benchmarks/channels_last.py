"""Does `convprof trace` promise the gain of channels_last that a program then has?

    python tests/benchmarks/channels_last.py --rounds 5 -t 2

Traces a network of convolutions in PyTorch that computes in NCHW, and reads what the finding says
that channels_last saves. Then runs the program in both layouts in turn, without logs, and compares.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

CALLS = 20
PROGRAM = f"""
import sys, time
import torch
torch.manual_seed(0)
torch.set_num_threads(int(sys.argv[2]))
order = getattr(torch, sys.argv[1])
layers = []
for inputs, outputs, stride in ((64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2)):
    layers += [torch.nn.Conv2d(inputs, outputs, 3, stride, 1), torch.nn.ReLU()]
model = torch.nn.Sequential(*layers).eval().to(memory_format=order)
x = torch.randn(1, 64, 56, 56).to(memory_format=order)
with torch.no_grad():
    for _ in range(3):
        model(x)
    begin = time.perf_counter()
    for _ in range({CALLS}):
        model(x)
    print((time.perf_counter() - begin) / {CALLS})
"""
NCHW, NHWC = "contiguous_format", "channels_last"


def promised_s(threads: str, folder: Path) -> float:
    """Trace the program in NCHW; return the seconds of a call that channels_last saves."""
    out = folder / "diagnosis.json"
    subprocess.run(
        [sys.executable, "-m", "convprof", "trace", "-q", "-t", threads, "--json", str(out), "--",
         sys.executable, "-c", PROGRAM, NCHW, threads],
        check=True, capture_output=True,
    )  # fmt: skip
    document = json.loads(out.read_text())
    calls = CALLS + 3
    layouts = [row for row in document["rows"] if row["operation"] == "reorder"]
    around = [row for row in layouts if "abcd" in row["layout"].split("->")]
    blocked = [row for row in around if "aBcd" in row["layout"]]
    return sum(row["total_s"] for row in blocked) / calls


def measured_s(layout: str, threads: str) -> float:
    """Run the program without logs; return the seconds of a call."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, layout, threads], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def main() -> None:
    """Print the promise and the gain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-t", "--threads", default="1")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        promised = promised_s(options.threads, Path(folder))
    times: dict[str, list[float]] = {NCHW: [], NHWC: []}
    for _ in range(options.rounds):
        for layout, samples in times.items():
            samples.append(measured_s(layout, options.threads))
    nchw, nhwc = (statistics.median(times[layout]) for layout in (NCHW, NHWC))
    print(f"NCHW {1e3 * nchw:.2f} ms, channels_last {1e3 * nhwc:.2f} ms a call")
    print(f"promised: up to {1e3 * promised:.2f} ms; gained: {1e3 * (nchw - nhwc):.2f} ms")


if __name__ == "__main__":
    main()
