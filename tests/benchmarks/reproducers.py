"""Compare the time that convprof measures with the time that its reproducer prints.

    python tests/benchmarks/reproducers.py --rounds 5 -t 2

Measurement and reproducer run in turn, each in a process of its own, on an idle machine. The
fastest call of a reproducer is compared, because convprof's strategy chooses the fastest too. The
ratio of the medians should be between 0.9 and 1.1.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

CASES = (
    ("resnet50:layer1.0.conv2", "torch", "nhwc"),
    ("resnet50:layer1.0.conv2", "torch", "nchw"),
    ("resnet50:layer1.0.conv2", "onnxruntime", "nchw"),
    ("512x512:512x512", "torch", "nchw"),
    ("512x512:512x512", "blas", "nchw"),
    ("512x512:512x512", "onnxruntime", "nchw"),
    ("attention:1x12x197x64", "torch", "nchw"),
)
LINE = re.compile(r"(.+): ([0-9.]+) us a call in the median")


def measured_us(case: tuple[str, str, str], threads: str, folder: Path) -> float:
    """Measure by convprof, which writes the program; return the median."""
    problem, strategy, layout = case
    result = folder / "result.json"
    subprocess.run(
        [sys.executable, "-m", "convprof", "repro", problem, "-s", strategy, "--layout", layout,
         "-t", threads, "-o", str(folder / "repro.py"), "--json", str(result), "-q"],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    (measurement,) = json.loads(result.read_text())["measurements"]
    return 1e6 * measurement["time_s"]["median"]


def printed_us(folder: Path) -> float:
    """Run the program; return the fastest of its medians."""
    done = subprocess.run(
        [sys.executable, str(folder / "repro.py")], check=True, capture_output=True, text=True
    )
    return min(float(match[2]) for match in LINE.finditer(done.stdout))


def main() -> None:
    """Print both medians of every case, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-t", "--threads", default="1")
    options = parser.parse_args()
    for case in CASES:
        ours, theirs = [], []
        with tempfile.TemporaryDirectory() as name:
            for _ in range(options.rounds):
                ours.append(measured_us(case, options.threads, Path(name)))
                theirs.append(printed_us(Path(name)))
        a, b = statistics.median(ours), statistics.median(theirs)
        print(f"{' '.join(case)}: {a:.1f} us by convprof, {b:.1f} us printed: {b / a:.2f}")


if __name__ == "__main__":
    main()
