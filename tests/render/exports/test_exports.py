"""Results in the formats of other tools, and read back by the tool where it can be installed."""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "studies" / "compare"))
from saved_runs import document, problem, timed

from convprof.cli.options import EXPORTS
from convprof.errors import InputError
from convprof.render.exports import formats
from convprof.render.exports.rows import rows
from convprof.studies import reading

NAME = "net:fc1 f32 packed 1 thread"
MADE = document(
    timed(1e-3, 1, problem=problem("net:fc1")),
    timed(2e-3, 2, strategy="blas", cache="cold", threads=2),
    timed(3e-3, 3, strategy="naive", doubt="disturbed"),
    timed(1e-3, 4, strategy="wrong", status="wrong", reason="error 1", time_s=None),
)
NAMES = [NAME, "64x64:64x64 f32 blas 2 threads cold"]


def read(made=MADE):
    return reading.document(json.loads(json.dumps(made)))


def exported(name, made=MADE):
    return json.loads(formats.export(read(made), name))


@pytest.mark.parametrize("name", EXPORTS)
def test_every_format_is_a_module_and_exports_only_times_without_a_doubt(name):
    module = importlib.import_module(f"convprof.render.exports.{name.replace('-', '_')}")
    assert module.__doc__
    text = formats.export(read(), name)
    assert all(name in text for name in NAMES)
    assert "naive" not in text
    with pytest.raises(InputError, match="no time without a doubt"):
        formats.export(read(document(timed(1e-3, doubt="disturbed"))), name)


def test_equal_names_are_told_apart():
    twice = read(document(timed(1e-3), timed(1e-3)))
    assert [row.name for row in rows(twice)][1].endswith("1 thread #2")


def test_bencher_has_the_interval_and_the_share_of_the_peak():
    time = MADE["measurements"][0]["time_s"]
    measures = exported("bencher")[NAME]
    assert measures["latency"] == {
        "value": pytest.approx(1e9 * time["median"]),
        "lower_value": pytest.approx(1e9 * time["ci95_low"]),
        "upper_value": pytest.approx(1e9 * time["ci95_high"]),
    }
    share = 100 * MADE["measurements"][0]["peak_fraction"]
    assert measures["percent-of-peak"]["value"] == pytest.approx(share)


def test_github_action_benchmark_has_shares_of_the_peak_only():
    entries = exported("github-action-benchmark")
    assert [entry["name"] for entry in entries] == NAMES
    assert {entry["unit"] for entry in entries} == {"% of peak"}
    assert all(entry["range"].startswith("± ") for entry in entries)
    with pytest.raises(InputError, match="no time has a share of the peak"):
        exported("github-action-benchmark", document(timed(1e-3, peak_fraction=None)))


def test_google_benchmark_has_a_repetition_for_each_round():
    benchmarks = exported("google-benchmark")["benchmarks"]
    own = [each for each in benchmarks if each["run_name"] == NAME]
    repetitions = [each for each in own if each["run_type"] == "iteration"]
    assert [each["repetition_index"] for each in repetitions] == list(range(25))
    assert [each["aggregate_name"] for each in own[25:]] == ["mean", "median", "stddev"]
    times = [each["real_time"] for each in repetitions]
    assert own[25]["real_time"] == pytest.approx(math.fsum(times) / 25)


@pytest.mark.parametrize("caches", [1, ["a"], [None], {"a": 1}])
def test_caches_of_a_stranger_are_refused_in_one_line(caches):
    made = document(timed(1e-3))
    made["machine"]["caches"] = caches
    with pytest.raises(InputError, match="missing"):
        exported("google-benchmark", made)


def test_hyperfine_has_the_fields_that_its_scripts_read():
    first = exported("hyperfine")["results"][0]
    assert first["command"] == NAME
    assert len(first["times"]) == len(first["exit_codes"]) == 25
    assert first["min"] <= first["median"] <= first["max"]
    assert first["min"] <= first["mean"] <= first["max"]


def test_a_document_without_rounds_has_one_value():
    made = document(timed(1e-3))
    del made["measurements"][0]["time_s"]["rounds_s"]
    (result,) = exported("hyperfine", made)["results"]
    assert (len(result["times"]), result["stddev"]) == (1, None)
    assert len(exported("google-benchmark", made)["benchmarks"]) == 1


def test_pyperf_compares_two_exports(tmp_path):
    pytest.importorskip("pyperf")
    slower = document(
        timed(1.2e-3, 1, problem=problem("net:fc1")),
        timed(2e-3, 2, strategy="blas", cache="cold", threads=2),
    )
    paths = [tmp_path / "base.json", tmp_path / "new.json"]
    for path, made in zip(paths, (MADE, slower), strict=True):
        path.write_text(formats.export(read(made), "pyperf"))
    command = [sys.executable, "-m", "pyperf", "compare_to", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{NAME}: Mean +- std dev: " in done.stdout
    assert "1.20x slower" in done.stdout
