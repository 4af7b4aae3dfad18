"""Machines on which something cannot be found out: results come all the same."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import psutil
import pytest

from convprof import cache_folder, cli
from convprof.machine import facts

RUN = ["run", "--gemm", "16x16x16", "-t", "1", "--budget", "0.002", "--rounds", "6"]


@pytest.mark.parametrize("error", [TypeError, ValueError, ZeroDivisionError])
def test_an_odd_battery_costs_no_results(monkeypatch, tmp_path, error):
    def ask():
        raise error("a power supply without numbers")

    monkeypatch.setattr(psutil, "sensors_battery", ask, raising=False)
    path = tmp_path / "out.json"
    assert cli._status([*RUN, "-s", "naive", "--json", str(path)]) == 0
    (found,) = json.loads(path.read_text())["measurements"]
    assert found["status"] == "ok"


def test_a_user_without_a_home_gets_results(monkeypatch, tmp_path):
    def refuse():
        raise RuntimeError("Could not determine home directory.")

    for name in ("CONVPROF_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", refuse)
    cache_folder.temporary.cache_clear()
    path = tmp_path / "out.json"
    try:
        assert cli._status([*RUN, "-s", "naive,auto", "--json", str(path)]) == 0
    finally:
        cache_folder.temporary.cache_clear()
    statuses = {m["strategy"]: m["status"] for m in json.loads(path.read_text())["measurements"]}
    assert statuses == {"naive": "ok", "auto": "ok"}


def test_bad_kept_files_cost_no_results_where_warnings_are_errors(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("CONVPROF_CACHE_DIR", str(tmp_path / "kept"))
    path = tmp_path / "out.json"
    words = [*RUN, "-s", "auto", "--json", str(path)]
    assert cli._status(words) == 0
    for kept in (tmp_path / "kept").iterdir():
        kept.write_text("{")
    (tmp_path / "kept" / f"ceilings-{facts().identity_key()}.json").write_text("[]")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cli._status(words) == 0
    (found,) = json.loads(path.read_text())["measurements"]
    assert found["status"] == "ok"
    assert "Traceback" not in capsys.readouterr().err
