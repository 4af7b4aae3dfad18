"""The commands as a user runs them, on problems that take milliseconds."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import weakref
from pathlib import Path

import jsonschema
import pytest

from convprof import cli
from convprof.codegen import tile_list
from convprof.machine import facts
from convprof.measure.session import Session
from convprof.strategies.conv.direct import Direct

SMALL = "mb1ic4ih9iw8oc6oh9ow8kh3kw3ph1pw1"
VALIDATOR = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "docs" / "result-schema.json").read_text())
)
QUICK = ["--budget", "0.002", "--rounds", "6"]


@pytest.fixture(autouse=True)
def _one_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")


def run(capsys, *words):
    status = cli._status([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


def test_run_measures_every_strategy_in_both_layouts_and_the_document_is_valid(capsys):
    status, out, _ = run(capsys, "run", SMALL, *QUICK, "--json", "-")
    document = json.loads(out)
    VALIDATOR.validate(document)
    found = {(m["strategy"], m["layout"], m["status"]) for m in document["measurements"]}
    names = (
        *("direct", "reordered", "im2col", "im2col-blas", "tiled"),
        *("microkernel", "winograd", "fft"),
    )
    computed = {(name, layout, "ok") for name in names for layout in ("nchw", "nhwc")}
    threaded = "ok" if facts().topology.usable_cores > 1 else "refused"
    assert found == computed | {("threaded", layout, threaded) for layout in ("nchw", "nhwc")}
    measured = [m for m in document["measurements"] if m["status"] == "ok"]
    assert all(m["max_rel_error"] < 1e-5 for m in measured)
    assert all(m["time_s"]["samples"] == 6 for m in measured)
    assert status == 0


def test_gemm_has_no_layout(capsys):
    status, out, _ = run(capsys, "run", "--gemm", "8x9x10", *QUICK, "--json", "-")
    document = json.loads(out)
    VALIDATOR.validate(document)
    assert {m["layout"] for m in document["measurements"]} == {None}
    assert document["measurements"][0]["problem"]["m"] == 8
    assert status == 0


def test_attention_is_a_problem_like_any_other(capsys):
    words = ["run", "attention:1x2x20x8", "-s", "naive,blas,fused,auto", "-t", "1", *QUICK]
    status, out, _ = run(capsys, *words, "--json", "-")
    document = json.loads(out)
    VALIDATOR.validate(document)
    found = [(m["strategy"], m["layout"], m["status"]) for m in document["measurements"]]
    assert found == [(name, None, "ok") for name in ("naive", "blas", "fused", "auto")]
    sizes = {"batch": 1, "heads": 2, "tokens": 20, "dim": 8}
    sizes |= {"key_heads": 2, "keys": 20, "mask": "none"}
    named = {"kind": "attention", "descriptor": "attention:1x2x20x8", "name": None}
    assert document["measurements"][0]["problem"] == named | sizes
    assert document["measurements"][0]["flops"]["direct"] == 4 * 2 * 20 * 20 * 8
    assert status == 0

    words = ["run", "--attention", "1x2x20x8:causal", "-s", "fused", "-t", "1", *QUICK]
    _, out, _ = run(capsys, *words, "--json", "-")
    VALIDATOR.validate(json.loads(out))
    _, out, _ = run(capsys, *words)
    assert out.startswith("attention 1x2x20x8, causal, 420 exponentials besides the FLOPs · f32")


def test_the_table_is_sorted_and_names_the_machine_and_the_source_of_cycles(capsys):
    status, out, _ = run(capsys, "run", SMALL, "-s", "direct,tiled", "-t", "1", *QUICK)
    lines = out.splitlines()
    assert lines[0].startswith("conv2d 1x4x9x8 -> 6, 3x3, pad 1")
    assert "% peak" in lines[1]
    assert any("peak" in line and "FLOP/s" in line for line in lines)
    assert any("cycles: " in line for line in lines)
    assert status == 0


def test_refusals_are_listed_and_do_not_stop_the_others(capsys):
    status, out, _ = run(capsys, "run", SMALL, "-s", "direct,threaded", "-t", "2", *QUICK)
    if status == 2:
        pytest.skip("this machine has one usable core")
    assert "refused: direct runs on one thread, not 2" in out
    assert "threaded" in out
    assert status == 0


def test_only_refusals_are_bad_input(capsys, monkeypatch):
    monkeypatch.setattr(Direct, "why_not", lambda *_: "direct is not in the mood")
    status, out, _ = run(capsys, "run", SMALL, "-s", "direct", "-t", "1", *QUICK)
    assert "refused: direct is not in the mood" in out
    assert status == 2


def test_a_strategy_that_raises_is_reported_and_the_others_go_on(capsys, monkeypatch):
    def explode(*_):
        raise ZeroDivisionError("boom")

    monkeypatch.setattr(Direct, "prepare", explode)
    status, out, _ = run(
        capsys, "run", SMALL, "-s", "direct,tiled", "-t", "1", *QUICK, "--json", "-"
    )
    by_name = {m["strategy"]: m for m in json.loads(out)["measurements"]}
    assert by_name["direct"]["status"] == "failed"
    assert by_name["direct"]["reason"] == "ZeroDivisionError: boom"
    assert by_name["tiled"]["status"] == "ok"
    assert status == 1


def test_a_wrong_result_gets_no_time_and_exit_3(capsys, monkeypatch):
    right = Direct.prepare

    def wrong(self, problem, setting):
        prepared = right(self, problem, setting)
        prepared.output = lambda: prepared._arrays["y"] + 1
        return prepared

    monkeypatch.setattr(Direct, "prepare", wrong)
    status, out, _ = run(capsys, "run", SMALL, "-s", "direct", "-t", "1", *QUICK, "--json", "-")
    measurement = json.loads(out)["measurements"][0]
    assert measurement["status"] == "wrong"
    assert measurement["time_s"] is None
    assert measurement["max_rel_error"] > 0.01
    assert status == 3


def test_ctrl_c_keeps_and_writes_what_was_measured(capsys, monkeypatch, tmp_path):
    sample = Session._sample
    taken = []

    def interrupted(self, participant):
        if len(taken) == 4:
            raise KeyboardInterrupt
        taken.append(participant)
        return sample(self, participant)

    monkeypatch.setattr(Session, "_sample", interrupted)
    path = tmp_path / "out.json"
    status, out, err = run(
        capsys, "run", SMALL, "-s", "direct,tiled", "-t", "1", *QUICK, "--json", path
    )
    document = json.loads(path.read_text())
    VALIDATOR.validate(document)
    assert document["interrupted"] is True
    assert sum(m["time_s"]["samples"] for m in document["measurements"]) == 4
    assert "tiled" in out
    assert "interrupted" in err
    assert status == 130


def test_ctrl_c_between_two_problems_is_marked_too(capsys, monkeypatch, tmp_path):
    begin = Session.__init__
    begun = []

    def interrupted(self, *arguments):
        if begun:
            raise KeyboardInterrupt
        begun.append(self)
        begin(self, *arguments)

    monkeypatch.setattr(Session, "__init__", interrupted)
    path = tmp_path / "out.json"
    words = ["run", SMALL, "--mb", "1", "mb1ic3ih8oc4kh3", "-s", "tiled", "-t", "1", *QUICK]
    status, _, err = run(capsys, *words, "--json", path)
    document = json.loads(path.read_text())
    assert document["interrupted"] is True
    assert {m["problem"]["c"] for m in document["measurements"]} == {4}
    assert "interrupted" in err
    assert status == 130


def test_csv_and_markdown(capsys, tmp_path):
    path = tmp_path / "table.md"
    words = ["run", SMALL, "-s", "tiled", "-t", "1", *QUICK]
    status, out, _ = run(capsys, *words, "--csv", "-", "--markdown", path)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["layout"] for row in rows] == ["nchw", "nhwc"] or len(rows) == 2
    assert float(rows[0]["time_s.median"]) > 0
    text = path.read_text()
    assert text.startswith("### conv2d 1x4x9x8 -> 6")
    assert text.count("| tiled |") == 2
    assert status == 0


def test_compare_layouts_gives_a_verdict_conversions_and_advice(capsys):
    words = ["compare", "layouts", SMALL, "-s", "tiled", "-t", "1", *QUICK, "--all"]
    status, out, _ = run(capsys, *words)
    assert "NHWC/NCHW" in out
    assert "converting between the layouts" in out
    assert out.count("1x4x9x8") >= 3  # in the title and for each direction
    assert "layout" in out or "Prefer" in out
    assert status == 0
    status, out, _ = run(capsys, *words, "--json", "-")
    document = json.loads(out)
    VALIDATOR.validate(document)
    comparison = document["comparisons"][0]
    assert comparison["verdict"] in {"faster", "slower", "same", "undecided"}
    assert set(comparison["conversions"]) == {"input_s", "output_s"}


def test_dry_run_lists_commands_that_mean_the_same(capsys):
    status, out, _ = run(
        capsys, "run", "vgg16:features.0", "vgg16:classifier.6", "-s", "tiled", "--dry-run"
    )
    lines = out.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("convprof run -s tiled ") for line in lines)
    assert status == 0


def test_cold_caches_are_said(capsys):
    _, out, _ = run(
        capsys, "run", SMALL, "-s", "tiled", "-t", "1", *QUICK, "--cache", "cold", "--json", "-"
    )
    assert {m["cache"] for m in json.loads(out)["measurements"]} == {"cold"}


def test_strategies_says_who_refuses(capsys):
    status, out, _ = run(capsys, "strategies")
    assert "im2col-blas" in out
    assert "naive" in out
    status, out, _ = run(capsys, "strategies", "--dtype", "bf16")
    assert "packed " in out
    assert "conv2d-backward-data" not in out  # it has no bf16
    assert status == 0
    status, _, err = run(capsys, "strategies", "-t", "2")
    assert "-t is for a problem: name one, such as resnet50:layer1.0.conv2" in err
    assert status == 2
    status, out, _ = run(capsys, "strategies", SMALL)
    assert "takes it" in out
    assert "at least 2 threads" not in out  # a reason for one thread only
    assert status == 0
    status, out, _ = run(capsys, "strategies", SMALL, "-t", "1")
    assert "threaded     refuses   needs at least 2 threads" in out
    assert status == 0


def test_help_imports_neither_numba_nor_numpy_and_piped_output_is_not_cut():
    code = "import sys\nfrom convprof import cli\ncli._status(['--help'])\n"
    code += "assert not {'numba', 'numpy', 'llvmlite'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE)


def test_a_batch_holds_one_problem_at_a_time(capsys, tmp_path, monkeypatch):
    batch = tmp_path / "batch.txt"
    batch.write_text("".join(f"mb1ic{c}ih9oc6kh3ph1\n" for c in (4, 5, 6, 7)))
    monkeypatch.setattr(tile_list, "KEPT_KERNELS", 0)
    prepare, seen, held = Session._prepare, [], []

    def watched(self, contestant):
        before = [ref for problem, ref in seen if problem != contestant.problem]
        held.extend(ref for ref in before if ref() is not None)
        if seen and len(before) == len(seen):  # the first contestant of a problem
            held.extend(tile_list._KERNELS)
        participant = prepare(self, contestant)
        seen.append((contestant.problem, weakref.ref(participant.prepared)))
        return participant

    monkeypatch.setattr(Session, "_prepare", watched)
    words = ["run", "--batch", batch, "-s", "im2col-blas,microkernel,winograd,fft", "-t", "1"]
    status, _, _ = run(capsys, *words, *QUICK)
    assert (status, held) == (0, [])
    assert len(seen) == 4 * 4 * 2
