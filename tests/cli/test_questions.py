"""Ten questions of a new user, a command each: its answer names what was asked about.

The budgets are tiny and other programs may disturb: no number is checked, and an answer may say
that a time is in doubt.
"""

from __future__ import annotations

import os
import re

import pytest

from convprof import cli
from convprof.codegen import isa

CONV = "mb1ic8ih12oc8kh3ph1"
DEPTHWISE = "g16mb1ic16ih20oc16kh3ph1"
QUICK = ("--budget", "0.002", "--rounds", "6")
DOUBT = re.compile("doubt")


def lines_of(capsys, *words):
    """Return what a command prints and its answer: the sentences after the last empty line."""
    status = cli._status(list(words))
    out = capsys.readouterr().out
    assert status == 0, out
    *_, last = out.rstrip("\n").split("\n\n")
    sentences = [line for line in last.splitlines() if not line.startswith("next: ")]
    assert sentences, out
    return out, " ".join(sentences)


def check(answer, *patterns):
    """Check that the answer has each pattern, or says that it cannot."""
    for pattern in patterns:
        assert re.search(pattern, answer) or DOUBT.search(answer), answer


@pytest.fixture(autouse=True, name="_stored")
def stored(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("CONVPROF_CACHE_DIR", str(tmp_path))


@pytest.fixture
def ceilings():
    """Store ceilings that cost nothing."""
    from convprof.machine import ceilings_store as store
    from convprof.machine import facts
    from convprof.machine.bandwidth import Bandwidth
    from convprof.machine.caches import MEMORY, levels
    from convprof.machine.ceilings_store import Ceilings

    names = [*(level.name for level in levels(facts().caches, 1)), MEMORY]
    found = tuple(Bandwidth(name, "load", 1, 4e9 / 2**i, 4096) for i, name in enumerate(names))
    store.save(facts().identity_key(), [Ceilings(1, 1.7e9, (), found)])


@pytest.mark.usefixtures("ceilings")
def test_why_is_my_depthwise_convolution_slow(capsys):
    _, answer = lines_of(capsys, "roofline", DEPTHWISE, "-s", "microkernel", "-t", "1", *QUICK)
    check(answer, "roof is .* the bandwidth of", "a depthwise convolution uses each input for one")


@pytest.mark.skipif(len(isa.widths()) < 2, reason="one instruction set")
def test_is_avx512_worth_its_clock_here(capsys):
    *_, narrow, wide = isa.widths()
    words = ["run", CONV, "-s", "microkernel", "-t", "1", "--isa", f"{narrow},{wide}", *QUICK]
    _, answer = lines_of(capsys, *words)
    check(answer, rf"With {wide} \(", rf"as long as with {narrow} \(")


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one CPU")
def test_one_thread_or_two(capsys):
    _, answer = lines_of(capsys, "run", CONV, "-s", "microkernel", "-t", "1,2", *QUICK)
    check(answer, "On 2 threads it is [0-9.]+ times as fast as on 1")


def test_which_library_for_my_model_and_which_layers_lose(capsys):
    out, answer = lines_of(
        capsys, "compare", "peers", "5x6:6x7", "8x9:9x7", "-s", "packed,blas", "-t", "1", *QUICK
    )
    check(answer, "convprof is ahead of the fastest library on . of 2 problems")
    assert "5x6:6x7" in out
    assert "convprof is" in out
    assert "total of" in out or DOUBT.search(out)


def test_how_much_of_the_time_is_layout_conversion(capsys):
    _, answer = lines_of(capsys, "network", "lenet5", "-t", "1", *QUICK[:2])
    check(answer, "between layouts")


@pytest.mark.usefixtures("ceilings")
def test_what_limits_this_strategy(capsys):
    _, answer = lines_of(capsys, "roofline", CONV, "-s", "tiled", "-t", "1", *QUICK)
    check(answer, "its roof is .*, the (peak|bandwidth of)")


def test_which_strategy_for_this_shape(capsys):
    _, answer = lines_of(capsys, "run", CONV, "-s", "tiled,microkernel", "-t", "1", *QUICK)
    check(answer, "(tiled|microkernel) n.* on 1 thread is the fastest")


def test_does_it_get_better_with_the_batch(capsys):
    words = ["sweep", "conv", CONV, "--over", "batch", "--range", "1:4:x4", "-s", "microkernel"]
    _, answer = lines_of(capsys, *words, "-t", "1", *QUICK)
    check(answer, "an image takes [0-9.]+ times as long at batch 4 as at batch 1: a larger batch")


def test_what_does_each_idea_bring(capsys):
    words = ["ladder", "gemm", "--size", "24", "-s", "naive,reordered,tiled", "-t", "1"]
    out, answer = lines_of(capsys, *words, *QUICK)
    check(answer, "is the fastest rung|naive")
    for rung in ("naive", "reordered", "tiled"):
        assert rung in out
    assert "speed-up" in out


def test_what_is_this_machine(capsys):
    _, answer = lines_of(capsys, "sysinfo")
    check(answer, "reaches .*FLOP/s on 1 thread", "memory")
