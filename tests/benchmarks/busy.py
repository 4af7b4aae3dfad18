"""Does a busy machine make convprof state what cannot be true?

    python tests/benchmarks/busy.py [--base FILE] [--idle-only] [--times 20] [--load N] [--quick]

Each command runs three times on the machine as it is, which should be idle, and then ``--times``
times next to programs that keep every CPU busy. ``--base FILE`` keeps the idle runs: the file is
written if it is absent, else it is read instead of running idle. Counted over the busy runs: rows
with an impossible time and no mark, verdicts (faster, slower) that contradict the idle ones, and
answers that call a contestant the fastest that is clearly slower on the idle machine. Expected:
none of them. Every answer is printed with its count, for reading.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

COMMANDS = {
    "run": ["run", "resnet50:layer1.0.conv2"],
    "compare layouts": ["compare", "layouts", "resnet50:layer1.0.conv2"],
    "ladder": ["ladder", "gemm", "--size", "512"],
    "network": ["network", "mnist-cnn"],
    "network --plan": ["network", "mnist-cnn", "--plan"],
    "threads": ["run", "256x256:256x256", "-s", "packed,blas", "-t", "1,2"],
}
QUICK = {
    "run": ["run", "64x64:64x64"],
    "compare layouts": ["compare", "layouts", "mb1ic16ih28oc16kh3ph1", "-s", "tiled,microkernel"],
    "ladder": ["ladder", "gemm", "--size", "128"],
    "network": ["network", "mnist-cnn"],
}
SPIN = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"
"""Ends by itself if this script is killed."""
IDLE_RUNS = 3
FAR = 4.0
"""A median of this many times the idle median is impossible."""
CLEARLY = 1.15
"""A contestant whose idle time is this many times the shortest one is not the fastest."""
CERTAIN = {"faster", "slower"}
FASTEST = re.compile(r"^(?P<way>\S+(?: \S+)*?) on (?P<threads>\d+) threads? is the fastest")
NUMBER = re.compile(r"\d[\d.,]*")


@contextlib.contextmanager
def load(count):
    """Keep that many CPUs busy."""
    spinning = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(count)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def outcome(words):
    """Run a command with choices of its own; return its rows, verdicts and answer."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.json"
        command = [sys.executable, "-m", "convprof", *words, "-q", "--json", str(path)]
        environment = {**os.environ, "CONVPROF_CACHE_DIR": folder, "COLUMNS": "200"}
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, check=True, encoding="utf-8"
        )
        document = json.loads(path.read_text(encoding="utf-8"))
    printed = done.stdout.strip().split("\n\n")[-1].replace(str(path), "FILE")
    return {"rows": rows(document), "verdicts": verdicts(document), "answer": printed}


def rows(document):
    """Return median and doubt of the measurements with a time, by what tells them apart."""
    return {
        " ".join(
            str(part)
            for part in (
                m["problem"]["name"] or m["problem"]["descriptor"],
                m["strategy"],
                m["layout"],
                m["threads"],
                m["cache"],
            )
        ): {
            "way": " ".join(filter(None, (m["strategy"], m["layout"]))),
            "threads": m["threads"],
            "median": m["time_s"]["median"],
            "doubt": m["doubt"],
        }
        for m in document["measurements"]
        if m["time_s"] is not None
    }


def verdicts(document):
    """Return the verdict and the ratio of each comparison, by its two sides."""
    return {
        json.dumps([c["a"], c["b"]], sort_keys=True): [c["verdict"], c["ratio"]]
        for c in document["comparisons"]
    }


def calm_times(idle):
    """Return the median of the idle times of each row without a doubt."""
    times = {}
    for run in idle:
        for key, row in run["rows"].items():
            if row["doubt"] is None:
                times.setdefault(key, []).append(row["median"])
    return {key: statistics.median(own) for key, own in times.items()}


def judged(idle, busy):
    """Return what is wrong with a run on a busy machine: a counter, and lines that say it."""
    counts, lines = Counter(), []
    calm = calm_times(idle)
    for key, row in busy["rows"].items():
        counts["rows"] += 1
        counts["marked"] += row["doubt"] is not None
        if row["doubt"] is None and key in calm:
            ratio = row["median"] / calm[key]
            if not 1 / FAR < ratio < FAR:
                counts["impossible"] += 1
                lines.append(f"impossible: {key}: {ratio:.2f} times the idle time, no mark")
    for key, (verdict, ratio) in busy["verdicts"].items():
        counts["comparisons"] += 1
        counts["undecided"] += verdict == "undecided"
        before = [run["verdicts"][key] for run in idle if key in run["verdicts"]]
        words = {each for each, _ in before}
        if len(words) == 1 and words | {verdict} == CERTAIN:
            counts["contradictions"] += 1
            was = " ".join(f"{one:.2f}" for _, one in before)
            lines.append(f"contradiction: {key}: {ratio:.2f} {verdict}, idle {was} {words.pop()}")
    wrong = wrong_answer(idle, busy)
    if wrong is not None:
        counts["wrong answers"] += 1
        lines.append(f"wrong answer: {wrong}")
    return counts, lines


def wrong_answer(idle, busy):
    """Return the answer that names another contestant than the fastest; None for a right one."""
    named = FASTEST.match(busy["answer"])
    if named is None:
        return None
    calm = calm_times(idle)
    ways = {
        (row["way"], row["threads"]): calm[key] for key, row in busy["rows"].items() if key in calm
    }
    own = ways.get((named["way"], int(named["threads"])))
    if own is None or own <= CLEARLY * min(ways.values()):
        return None
    return (
        f"{busy['answer'].splitlines()[0]} Idle: {own / min(ways.values()):.2f} times the fastest"
    )


def base_of(path, commands):
    """Return the idle runs of every command: out of the file if it is there."""
    if path is not None and path.exists():
        base = json.loads(path.read_text(encoding="utf-8"))
        if {name: base[name]["words"] for name in base} != commands:
            sys.exit(f"{path} is of other commands: name another file, or add --quick")
        return base
    base = {}
    for name, words in commands.items():
        base[name] = {"words": words, "runs": [outcome(words) for _ in range(IDLE_RUNS)]}
        doubtful = sum(
            row["doubt"] is not None for run in base[name]["runs"] for row in run["rows"].values()
        )
        print(f"idle: {name}: {doubtful} rows in doubt", flush=True)
    if path is not None:
        path.write_text(json.dumps(base, indent=1), encoding="utf-8")
    return base


def main():
    """Print some lines per command; return 1 if something impossible was stated."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, help="file with the idle runs; written if absent")
    parser.add_argument("--idle-only", action="store_true", help="end after the idle runs")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--load", type=int, default=os.cpu_count() or 1, help="busy CPUs")
    parser.add_argument("--quick", action="store_true", help="smaller problems")
    options = parser.parse_args()
    base = base_of(options.base, QUICK if options.quick else COMMANDS)
    if options.idle_only:
        return 0
    wrong = 0
    for name, own in base.items():
        total, answers = Counter(), Counter()
        with load(options.load):
            for _ in range(options.times):
                busy = outcome(own["words"])
                counts, lines = judged(own["runs"], busy)
                total += counts
                answers[NUMBER.sub("#", busy["answer"])] += 1
                for each in lines:
                    print(f"  {each}", flush=True)
        wrong += sum(total[key] for key in ("impossible", "contradictions", "wrong answers"))
        print(
            f"{name}: {total['rows']} rows, {total['marked']} marked, {total['impossible']} "
            f"impossible without a mark; {total['comparisons']} comparisons, {total['undecided']} "
            f"undecided, {total['contradictions']} contradict the idle ones; "
            f"{total['wrong answers']} wrong answers"
        )
        for answer, count in answers.most_common():
            print(
                "".join(f"  {line}\n" for line in f"{count} times: {answer}".splitlines()), end=""
            )
        sys.stdout.flush()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
