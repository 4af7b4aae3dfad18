"""How long the commands take from a cold start (nothing compiled) and a warm one.

python tests/benchmarks/startup.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from convprof.stats import median

REPEATS = 15


def seconds(words: list[str], environment: dict[str, str] | None = None) -> float:
    """Return how long a command took."""
    start = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def main() -> None:
    """Print the times."""
    help_words = [sys.executable, "-m", "convprof", "--help"]
    import_words = [sys.executable, "-c", "import click, rich"]
    pairs = [(seconds(help_words), seconds(import_words)) for _ in range(REPEATS)]
    asked, imported = (median(list(column)) for column in zip(*pairs, strict=True))
    print(f"--help {1e3 * asked:.0f} ms, import click, rich {1e3 * imported:.0f} ms: "
          f"{asked / imported:.2f} times")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        run = [sys.executable, "-m", "convprof", "run"]
        print(f"run, nothing compiled: {seconds(run, environment):.1f} s")
        print(f"run, compiled before:  {seconds(run, environment):.1f} s")


if __name__ == "__main__":
    main()
