"""Which results which command reads: a table of the kinds of documents and their readers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convprof import cli
from convprof.render.show import KINDS
from convprof.results import SCHEMA_VERSION

MEASUREMENT = {
    "problem": {"kind": "gemm", "descriptor": "4x4:4x4", "name": None}
    | {"m": 4, "n": 4, "k": 4, "batch": 1},
    "strategy": "naive", "layout": None, "dtype": "f32", "threads": 1, "cache": "hot",
    "status": "ok", "time_s": {"median": 1e-6}, "flops": {"direct": 128, "executed": 128},
    "bytes_min": 192, "peak_fraction": 0.5, "flop_per_s": 1.28e8,
}  # fmt: skip
PEAK = {
    "isa": "avx2", "bits": 256, "dtype": "f32", "threads": 1, "flop_per_s": 2.56e8,
    "core_hz": 3e9, "flop_per_cycle": 32.0, "ports": 2, "fused": True, "instruction": "",
}  # fmt: skip
BANDWIDTH = {
    "level": "L1", "operation": "load", "threads": 1, "bytes_per_s": 1e11, "buffer_bytes": 1 << 14,
}  # fmt: skip
COMMON = {
    "schema_version": SCHEMA_VERSION, "tool_version": "1",
    "machine": {"key": "0123456789ab"}, "settings": {}, "state": {},
}  # fmt: skip
CEILINGS = {"peaks": [PEAK], "bandwidths": [BANDWIDTH]}
LINE = {"index": 0, "state": {}, "measurements": [MEASUREMENT], "comparisons": []}


def lines(kind, **fields):
    """Return a journal or a sweep: a header and one problem."""
    header = {**COMMON, "kind": kind, "ceilings": CEILINGS, **fields}
    header = {"schema_version": header.pop("schema_version"), **header}
    return f"{json.dumps(header)}\n{json.dumps(LINE)}\n"


def other(kind):
    return json.dumps({**COMMON, "kind": kind, "ceilings": CEILINGS})


RESULT = json.dumps(
    {**COMMON, "kind": "result", "ceilings": CEILINGS, "measurements": [MEASUREMENT]}
)
PICTURES = ("features",)
"""The document has what was computed, and not the picture."""
MEASURED = {
    "result.json": RESULT,
    "sweep.jsonl": lines("sweep", sweep={"values": [4]}),
    "killed.journal": lines("run", command={"command": "run", "problems": 1}),
}
"""What has measurements: run, ladder, network, compare and roofline write a result."""
OTHERS = (
    *("cache", "ceilings", "comparison", "diagnosis", "features", "fleet_table"),
    *("history", "instructions", "network", "networks", "programs", "study", "sysinfo"),
)
"""Kinds without measurements that another command could read."""
READERS = {
    "show": ["show", "FILE"],
    "show --save": ["show", "FILE", "--save", "main"],
    "show --export": ["show", "FILE", "--export", "pyperf", "OUT"],
    "show --json": ["show", "FILE", "--json", "OUT"],
    "compare results": ["compare", "results", "FILE", "FILE"],
    "roofline": ["roofline", "FILE"],
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


def run(capsys, tmp_path, words, name, content):
    path = tmp_path / name
    path.write_text(content)
    places = {"FILE": str(path), "OUT": str(tmp_path / "out.json")}
    status = cli._status([places.get(word, word) for word in words])
    return status, *capsys.readouterr()


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", MEASURED)
def test_what_has_measurements_is_read(reader, name, capsys, tmp_path):
    status, out, err = run(capsys, tmp_path, READERS[reader], name, MEASURED[name])
    assert status == 0, err
    assert "Traceback" not in err
    assert "4x4" in out


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", OTHERS)
def test_what_has_no_content_is_refused_in_one_line(reader, kind, capsys, tmp_path):
    status, out, err = run(capsys, tmp_path, READERS[reader], "other.json", other(kind))
    if kind == "sysinfo" and reader in {"show", "show --json"}:  # every fact may be unknown
        assert status == 0
        assert "note: " in err
        assert "the bandwidth of memory is in a document of convprof ceilings" in err
        return
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert "other.json: " in err
    assert kind in err or "no measurements" in err


@pytest.mark.parametrize("kind", OTHERS)
def test_show_has_the_tables_of_every_kind_but_pictures(kind):
    assert (kind in KINDS) == (kind not in PICTURES)


DOCUMENTS = {
    "history": ["history"],
    "comparison": ["compare", "results", "main", "main"],
    "networks": ["network", "--list"],
    "network": ["network", "mnist-cnn", "--summary"],
    "cache": ["cache"],
}
"""Commands that measure nothing; tests/render/show has the documents of the others."""


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_document_is_printed_as_its_command_prints_it(kind, capsys, tmp_path):
    run(capsys, tmp_path, READERS["show --save"], "result.json", RESULT)
    path = tmp_path / "document.json"
    assert cli._status([*DOCUMENTS[kind], "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    again = tmp_path / "again.json"
    assert cli._status(["show", str(path), "--json", str(again)]) == 0
    assert capsys.readouterr().out == printed
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.usefixtures("_free_ceilings")
def test_a_saved_run_is_read_wherever_a_file_is(capsys, tmp_path):
    run(capsys, tmp_path, READERS["show --save"], "result.json", RESULT)
    for words in (["show", "main"], ["compare", "results", "main", "main~0"], ["roofline", "main"],
                  ["roofline", "last"], ["diagnose", "main", "-q"]):  # fmt: skip
        assert cli._status(words) == 0
        assert "4x4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--match", "x"], "--match x: is not for a document of kind 'networks'"),
        (["--top", "3"], "--top 3: is not for a document of kind 'networks'"),
        (["--save", "main"], "--save takes results, not a document of kind 'networks'"),
        (["--export", "pyperf", "OUT"], "--export takes results, not a document of kind"),
        (["--plot", "x.svg"], "--plot: a document of kind 'networks' has no chart"),
    ],
)
def test_what_a_document_does_not_have_is_one_line(words, message, capsys, tmp_path):
    if "--plot" in words:
        pytest.importorskip("matplotlib")
    path = tmp_path / "list.json"
    cli._status(["network", "--list", "--json", str(path)])
    capsys.readouterr()
    places = [str(tmp_path / "out") if word == "OUT" else word for word in words]
    status = cli._status(["show", str(path), *places])
    out, err = capsys.readouterr()
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert message in err


def test_the_table_has_every_kind():
    schema = json.loads(
        (Path(__file__).parents[2] / "docs" / "result-schema.json").read_text(encoding="utf-8")
    )
    (kinds,) = (fields["enum"] for key, fields in schema["properties"].items() if key == "kind")
    assert {*kinds} == {"result", "sweep", "run", "fleet", *OTHERS}


def test_a_sweep_that_is_not_finished_says_so(capsys, tmp_path):
    content = lines("sweep", sweep={"values": [4, 5]})
    status, _, err = run(capsys, tmp_path, ["show", "FILE"], "sweep.jsonl", content)
    assert status == 0
    assert "1 of 2 problems were finished" in err
