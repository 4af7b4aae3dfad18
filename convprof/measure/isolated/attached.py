"""A process that ends with the process that started it.

``python -P -m convprof.measure.isolated.attached WORD...`` is ``convprof WORD...`` as such a
process.
"""

from __future__ import annotations

import ctypes
import resource
import runpy
import signal
import sys
from pathlib import Path

OUT_OF_MEMORY_SCORE = "800"
"""The kernel ends this process first if memory runs out; the range is -1000 to 1000."""
_PR_SET_PDEATHSIG = 1


def attach() -> None:
    """End with the other process, leave no core file, and be the first without memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        try:
            Path("/proc/self/oom_score_adj").write_text(OUT_OF_MEMORY_SCORE, encoding="ascii")
        except OSError:  # a sandbox without /proc
            return


if __name__ == "__main__":
    attach()
    runpy.run_module("convprof", run_name="__main__", alter_sys=True)
