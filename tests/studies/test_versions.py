"""Documents and journals that version 1 of the format wrote: read, shown and written again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convprof import cli
from convprof.errors import InputError
from convprof.results import SCHEMA_VERSION
from convprof.studies import reading, saved, versions

OLD = Path(__file__).parents[1] / "data" / "v1"
DOCUMENTS = sorted(path.stem for path in OLD.glob("*.json"))
SHOWN = sorted(path.stem for path in OLD.glob("*.txt"))


def old(name):
    return json.loads((OLD / f"{name}.json").read_text(encoding="utf-8"))


def new(name):
    return reading.document(old(name)).to_json()


def file_of(name):
    return OLD / (name if name.endswith(".journal") else f"{name}.json")


@pytest.mark.parametrize("name", SHOWN)
def test_show_prints_a_document_of_version_1(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert cli._status(["show", str(file_of(name))]) == 0
    assert capsys.readouterr().out == (OLD / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_becomes_one_of_this_version(name, invalid):
    assert invalid(new(name)) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_all_measurements_stay(name):
    later = ("note", "doubt", "environment", "tile_fraction", "bandwidth_fraction", "level")
    before = [{**measurement, **dict.fromkeys(later)} for measurement in old(name)["measurements"]]
    for time in (measurement["time_s"] for measurement in before if measurement["time_s"]):
        time["rounds_s"] = None
    after = new(name)["measurements"]
    assert [{key: m[key] for key in m if key != "isa"} for m in after] == before


def test_generated_kernels_had_the_instruction_set_of_the_settings():
    results = [
        {"problem": {"kind": kind}, "strategy": strategy}
        for kind, strategy in (
            ("gemm", "packed"), ("gemm", "tiled"), ("gemm", "new"), ("new", "packed"),
        )
    ]  # fmt: skip
    comparison = {"problem": {"kind": "gemm"}, "a": {"strategy": "packed"}, "b": 3}
    known = {"measurements": results, "comparisons": [comparison]}
    found = versions.with_labels(known, {"isa": "sse"})
    assert [m["isa"] for m in found["measurements"]] == ["sse", None, None, None]
    assert found["comparisons"][0]["a"] == {
        "strategy": "packed", "isa": "sse", "dtype": "f32",
    }  # fmt: skip
    assert versions.with_labels(known, {})["measurements"][0]["isa"] == "native"
    assert versions.with_labels(found, {"isa": "avx2"}) == found


def test_a_journal_becomes_a_document_of_this_version(tmp_path, capsys, invalid):
    path = tmp_path / "new.json"
    assert cli._status(["show", str(OLD / "peers.json.journal"), "--json", str(path)]) == 0
    capsys.readouterr()
    document = json.loads(path.read_text(encoding="utf-8"))
    assert invalid(document) == []
    assert [c["kind"] for c in document["comparisons"]] == ["peers", "peers"]


@pytest.mark.parametrize("name", ["peers", "ladder", "layouts", "mixers"])
def test_a_ratio_is_the_time_of_a_over_the_time_of_b(name):
    """In version 1 it was the inverse for peers and ladders."""
    seconds = {
        (m["strategy"], m["layout"], m["threads"]): m["time_s"]["median"]
        for m in old(name)["measurements"]
        if m["time_s"]
    }

    def time(side):  # of a mixer, whose parts are the measurements, the sum
        return side.get("seconds") or seconds[side["strategy"], side["layout"], side["threads"]]

    comparisons = new(name)["comparisons"]
    assert len(comparisons) == len(old(name)["comparisons"]) > 0
    for comparison in comparisons:
        medians = time(comparison["a"]) / time(comparison["b"])
        assert comparison["ratio"] == pytest.approx(medians, rel=0.2)
        low, high = comparison["ci95"] or (comparison["ratio"], comparison["ratio"])
        assert low <= comparison["ratio"] <= high
        if comparison["verdict"] == "faster":
            assert high < 1


@pytest.mark.parametrize("name", ["network", "plan", "training"])
def test_a_network_is_no_comparison(name):
    document = new(name)
    assert document["comparisons"] == []
    assert [network["kind"] for network in document["networks"]] == [name]


def test_the_chains_of_a_plan_keep_their_ratios():
    before, after = (
        {chain["name"]: chain["ratio"] for chain in found["chains"]}
        for found in (old("plan")["comparisons"][0], new("plan")["networks"][0])
    )
    assert after == {name: ratio and ratio["value"] for name, ratio in before.items()}


def test_version_1_had_no_sums_in_doubt():
    (side,) = new("training")["networks"][0]["totals"]
    sums = [side, *side["passes"].values(), *side["kinds"].values()]
    assert len(sums) > 3
    assert [part["doubt"] for part in sums] == [None] * len(sums)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_roofline_reads_it(name):
    assert saved.read(str(OLD / f"{name}.json")).measurements


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION + 1, True, 1.0, "1", None])
def test_other_versions_are_refused(version):
    with pytest.raises(InputError, match="schema_version is neither 1 nor 2"):
        versions.of({"schema_version": version})


@pytest.mark.parametrize("ratio", [None, 1.5, {}, {"value": 0}, {"value": 1, "low": "x"}])
def test_a_damaged_comparison_is_left_out(ratio):
    document = old("ladder")
    document["comparisons"][0]["ratio"] = ratio
    assert reading.document(document).to_json()["comparisons"] == new("ladder")["comparisons"][1:]


@pytest.mark.parametrize("kind", [["network"], {"network": 1}, None, 1])
def test_a_comparison_of_no_kind_is_no_network(kind):
    document = old("ladder")
    document["comparisons"] = [{"kind": kind}]
    assert reading.document(document).to_json()["networks"] == []
