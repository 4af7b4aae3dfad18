from __future__ import annotations

from types import SimpleNamespace

import pytest

from convprof.measure import idle as settle_module
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
        monkeypatch.setitem(module, "_others_run", lambda: False)
        settle()
        return now.elapsed

    run.look_s = module["LOOK_SECONDS"]
    run.time_limit_s = module["PATIENCE_SECONDS"]
    return run


def test_a_quiet_process_takes_one_look(quiet_after):
    assert quiet_after(0) == pytest.approx(quiet_after.look_s)


@pytest.mark.parametrize("busy_s", [0.01, 0.03, 0.2])
def test_it_waits_for_spinning_threads(quiet_after, busy_s):
    assert busy_s <= quiet_after(busy_s) <= busy_s + 2 * quiet_after.look_s


def test_patience_ends(quiet_after):
    patience = quiet_after.time_limit_s
    assert patience <= quiet_after(1e9) <= patience + 2 * quiet_after.look_s


def test_a_little_work_is_not_spinning(quiet_after):
    assert quiet_after(1e9, share=0.2) == pytest.approx(quiet_after.look_s)
    assert quiet_after(0.1, share=0.9) >= 0.1


@pytest.mark.parametrize(("states", "runs"), [("SS", False), ("SR", True), ("DS", False)])
def test_the_kernel_says_who_runs(monkeypatch, tmp_path, states, runs):
    own = "7"
    for name, state in zip((own, "8", "9"), "R" + states, strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / "stat").write_text(f"{name} (a ) R name) {state} 1 2 3")
    (tmp_path / "10").mkdir()  # a thread that has just ended
    monkeypatch.setattr(settle_module, "TASKS", tmp_path)
    monkeypatch.setattr(settle_module.threading, "get_native_id", lambda: int(own))
    assert settle_module._others_run() is runs


def test_without_the_kernels_counts_no_thread_counts_as_running(monkeypatch, tmp_path):
    monkeypatch.setattr(settle_module, "TASKS", tmp_path / "nowhere")
    assert settle_module._others_run() is False
