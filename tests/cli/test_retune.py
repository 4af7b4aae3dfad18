from __future__ import annotations

import pytest

from convprof import choice_store, cli
from convprof.strategies.tuning import auto

RUN = ["run", "24x24:24x24", "-s", "auto", "-t", "1", "--rounds", "1", "--explain", "-q"]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVPROF_CACHE_DIR", str(tmp_path))
    real = auto.times
    monkeypatch.setattr(auto, "times", lambda *a: real(*a)._replace(doubt=None))


def explained(capsys, *words):
    assert cli._status([*RUN, *words]) == 0
    choice_store.reset()
    (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("auto 1 thread:")]
    return line


def test_retune_times_again(capsys):
    assert "fastest of" in explained(capsys)
    assert "remembered" in explained(capsys)
    assert "fastest of" in explained(capsys, "--retune")
    assert "remembered" in explained(capsys)


@pytest.mark.parametrize("command", [RUN, ["network", "mnist-cnn"]], ids=["run", "network"])
def test_retune_needs_timing(command, capsys):
    assert cli._status([*command, "--retune", "--tune", "off"]) == 2
    assert (
        "--retune times the candidates again, and --tune off times none" in capsys.readouterr().err
    )
