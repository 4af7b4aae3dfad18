"""After contestants of OpenVINO have ended, a signal still reaches its handler."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("openvino", reason="needs openvino")

SCRIPT = """
import gc, os, signal
from convprof.measure.operands import draw
from convprof.problems import Gemm
from convprof.strategies import registry
from convprof.strategies.base import Setting
g, setting = Gemm(m=4, n=5, k=6), Setting()
operands = draw(g, setting.types, 0)
both = [registry.find("gemm", "openvino").prepare(g, setting) for _ in range(2)]
for prepared in both:
    prepared.bind(*operands.all("nchw"))
    prepared.run()
del prepared
for _ in range(2):  # the first one first
    both.pop(0).close()
    gc.collect()
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system")
def test_a_signal_after_two_contestants():
    script = [sys.executable, "-c", SCRIPT]
    run = subprocess.run(script, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "handled\n"), run.stderr
