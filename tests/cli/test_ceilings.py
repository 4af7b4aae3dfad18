from __future__ import annotations

import json
import subprocess
import sys

import pytest

from convprof import cli
from convprof.machine import ceilings_store, facts
from convprof.machine.bandwidth import Bandwidth
from convprof.machine.caches import MEMORY, levels
from convprof.machine.ceilings_store import Ceilings
from convprof.machine.peaks import Peak

FMA = Peak("avx512", 512, "f32", 1, 1.9e11, 3e9, 63.9, 2)
DOUBLE = Peak("avx512", 512, "f64", 1, 0.9e11, 3e9, 31.9, 2)


@pytest.fixture
def known(monkeypatch, tmp_path):
    """Keep ceilings for this machine on one thread, so that nothing is measured."""
    monkeypatch.setenv("CONVPROF_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    names = [*(level.name for level in levels(facts().caches, 1)), MEMORY]
    bandwidths = tuple(
        Bandwidth(name, "load", 1, 4e11 / 4**i, 4096) for i, name in enumerate(names)
    )
    ceilings_store.save(
        facts().identity_key(), [Ceilings(1, 1_760_000_000.0, (FMA, DOUBLE), bandwidths)]
    )


def run(capsys, *words):
    status = cli._status([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.usefixtures("known")
def test_what_is_kept_is_shown_with_its_age(capsys):
    status, out, err = run(capsys, "ceilings", "-t", "1")
    assert (status, err) == (0, "")
    assert "190" in out
    assert "days ago (2025-10-09 08:53 UTC)" in out
    assert facts().identity_key() in out


@pytest.mark.usefixtures("known")
def test_json_alone_on_stdout_and_one_type(capsys):
    status, out, _ = run(capsys, "ceilings", "-t", "1", "--dtype", "f64", "--json", "-")
    document = json.loads(out)
    assert status == 0
    assert [p["flop_per_s"] for p in document["ceilings"]["peaks"]] == [0.9e11]
    (measured,) = document["ceilings"]["measured"]
    assert (measured["threads"], measured["measured_at_s"]) == (1, 1_760_000_000.0)
    assert document["ceilings"]["bandwidths"][0]["operation"] == "load"


@pytest.mark.usefixtures("known")
def test_files(capsys, tmp_path):
    table, rows = tmp_path / "c.md", tmp_path / "c.csv"
    status, out, _ = run(capsys, "ceilings", "-t", "1", "--markdown", table, "--csv", rows)
    assert status == 0
    assert "peak arithmetic" in out
    assert "| f32 | 1 | avx512 | 512 | FMA | 190 | unknown | 63.9 | 3.00 |" in table.read_text()
    assert rows.read_text().startswith("kind,")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--dtype", "f16"], "--dtype f16: use f32, f64, bf16 or int8"),
        (["-t", "0"], "--threads 0"),
        (["-t", "x"], "--threads x: use numbers"),
        (["--json", "/no/such/x"], "--json /no/such/x: cannot be written"),
        (["extra"], "unexpected extra argument"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_measured(capsys, monkeypatch, words, expected):
    monkeypatch.setattr("convprof.studies.ceilings.Measured", None)
    status, out, err = run(capsys, "ceilings", *words)
    assert (status, out) == (2, "")
    assert expected in err
    assert err.count("\n") == 1


def test_help_of_both_imports_no_numba():
    program = (
        "import sys; from convprof import cli\n"
        "for name in ('ceilings', 'roofline'):\n"
        "    assert cli._status([name, '--help']) == 0\n"
        "assert not {'numba', 'llvmlite', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Figures that cost nothing; `until` says after which of them Ctrl-C is pressed."""
    monkeypatch.setenv("CONVPROF_CACHE_DIR", str(tmp_path / "cache"))
    made, limit = [], [None, KeyboardInterrupt]

    def count(figure):
        if limit[0] is not None and len(made) >= limit[0]:
            raise limit[1]
        made.append(figure)
        return figure

    def fake_peak(dtype, threads, bits, *, fused):
        return count(Peak("x", bits, dtype, threads, 1e9 * bits, 1e9, 1.0, 1, fused))

    def fake_bandwidths(threads):
        for operation in ("load", "store"):
            yield count(Bandwidth("L1", operation, threads, 1e9, 64))

    monkeypatch.setattr("convprof.machine.peaks.measure", fake_peak)
    monkeypatch.setattr("convprof.machine.bandwidth.measure", fake_bandwidths)

    def until(number, error=KeyboardInterrupt):
        made.clear()
        limit[:] = number, error
        return made

    return until


def test_an_interruption_costs_only_the_figure_under_way(quick, capsys, tmp_path):
    path = tmp_path / "c.json"
    quick(3)
    status, out, err = run(capsys, "ceilings", "-t", "1", "--json", path)
    assert status == 130
    assert "interrupted: what was measured until then is above" in err
    assert "peak arithmetic" in out
    found = json.loads(path.read_text())["ceilings"]
    assert (len(found["peaks"]), len(found["bandwidths"])) == (3, 0)
    # parts are no ceilings that others would believe, and the next time the rest is measured
    assert ceilings_store.load(facts().identity_key()) == {}
    made = quick(None)
    status, _, err = run(capsys, "ceilings", "-t", "1", "--json", path)
    assert (status, "interrupted" in err) == (0, False)
    found = json.loads(path.read_text())["ceilings"]
    assert len(found["bandwidths"]) == 2
    assert len(made) == len(found["peaks"]) - 3 + 2
    assert ceilings_store.load(facts().identity_key())[1].whole


def test_parts_of_a_new_measurement_do_not_replace_whole_figures(quick, capsys, tmp_path):
    quick(None)
    assert run(capsys, "ceilings", "-t", "1")[0] == 0
    before = ceilings_store.load(facts().identity_key())
    quick(2)
    path = tmp_path / "c.json"
    assert run(capsys, "ceilings", "-t", "1", "--again", "--json", path)[0] == 130
    assert len(json.loads(path.read_text())["ceilings"]["peaks"]) == 2
    assert ceilings_store.load(facts().identity_key()) == before


def test_interrupted_before_the_first_figure(quick, capsys, tmp_path):
    quick(0)
    path = tmp_path / "c.json"
    status, out, err = run(capsys, "ceilings", "-t", "1", "--json", path)
    assert (status, out) == (130, "")
    assert "interrupted: nothing was measured yet" in err
    assert json.loads(path.read_text())["ceilings"]["peaks"] == []


def test_an_error_costs_no_more_than_an_interruption(quick, capsys, tmp_path):
    quick(3, MemoryError())
    path = tmp_path / "c.json"
    status, out, err = run(capsys, "ceilings", "-t", "1", "--json", path)
    assert status == 1
    assert "convprof: out of memory" in err
    assert "Traceback" not in err
    assert "peak arithmetic" in out
    assert len(json.loads(path.read_text())["ceilings"]["peaks"]) == 3
