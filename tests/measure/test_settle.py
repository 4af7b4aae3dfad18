from __future__ import annotations

from types import SimpleNamespace

import pytest

from convprof.measure import session


@pytest.fixture
def quiet_after(monkeypatch):
    """Let other threads of the process be busy for so long; return how long settle took."""
    settle = session.settle
    module = settle.__globals__

    def run(busy_s, share=1.0):
        now = SimpleNamespace(elapsed=0.0, used=0.0)

        def sleep(seconds):
            now.elapsed += seconds
            now.used += seconds * share if now.elapsed <= busy_s else 0.0

        fake = SimpleNamespace(
            perf_counter=lambda: now.elapsed, process_time=lambda: now.used, sleep=sleep
        )
        monkeypatch.setitem(module, "time", fake)
        settle()
        return now.elapsed

    run.look_s = module["LOOK_SECONDS"]
    run.patience_s = module["PATIENCE_SECONDS"]
    return run


def test_a_quiet_process_takes_one_look(quiet_after):
    assert quiet_after(0) == pytest.approx(quiet_after.look_s)


@pytest.mark.parametrize("busy_s", [0.01, 0.03, 0.2])
def test_it_waits_for_spinning_threads(quiet_after, busy_s):
    assert busy_s <= quiet_after(busy_s) <= busy_s + 2 * quiet_after.look_s


def test_patience_ends(quiet_after):
    patience = quiet_after.patience_s
    assert patience <= quiet_after(1e9) <= patience + 2 * quiet_after.look_s


def test_a_little_work_is_not_spinning(quiet_after):
    assert quiet_after(1e9, share=0.2) == pytest.approx(quiet_after.look_s)
    assert quiet_after(0.1, share=0.9) >= 0.1
