"""``--isa`` and ``--asm`` as a user runs them."""

from __future__ import annotations

import json
import re

import pytest

from convprof import cli
from convprof.codegen import isa
from convprof.machine import facts, peaks
from convprof.machine.model import MachineModel
from convprof.machine.peaks import Peak

SMALL = "mb1ic4ih9iw8oc16oh9ow8kh3kw3ph1pw1"
QUICK = ["-t", "1", "--budget", "0.002", "--rounds", "6"]
NARROWEST = pytest.mark.skipif(not isa.available(), reason="no instruction set to choose")


@pytest.fixture(autouse=True)
def _one_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")


def run(capsys, *words):
    status = cli._status([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


@NARROWEST
def test_results_are_held_against_the_peak_of_the_instruction_set(capsys):
    name = isa.available()[0]
    words = ["run", SMALL, "-s", "microkernel,tiled", *QUICK, "--isa", name.upper(), "--json", "-"]
    status, out, _ = run(capsys, *words, "--asm")
    document = json.loads(out)
    assert status == 0
    assert document["settings"]["isa"] == name
    (whole,) = document["ceilings"]["peaks"]
    (narrow,) = document["ceilings"]["isa_peaks"]
    assert (narrow["isa"], narrow["bits"]) == (name, isa.find(name).bits)
    for measurement in document["measurements"]:
        peak = narrow if measurement["strategy"] == "microkernel" else whole
        expected = measurement["flop_per_s"] / peak["flop_per_s"]
        assert measurement["peak_fraction"] == pytest.approx(expected)


def test_without_a_choice_there_is_one_kind_of_peak(capsys):
    _, out, _ = run(capsys, "run", SMALL, "-s", "microkernel", *QUICK, "--json", "-")
    document = json.loads(out)
    assert document["settings"]["isa"] == "native"
    assert document["ceilings"]["isa_peaks"] is None


@NARROWEST
def test_the_title_and_the_lines_below_the_table(capsys):
    name = isa.available()[0]
    _, out, _ = run(capsys, "run", SMALL, "-s", "microkernel", *QUICK, "--isa", name)
    assert out.splitlines()[0].endswith(f" · {name} kernels")
    assert re.search(rf"% peak of generated kernels: of {name}'s [\d.]+ .?FLOP/s on 1\n", out)
    _, out, _ = run(capsys, "run", SMALL, "-s", "microkernel", *QUICK)
    assert "kernels" not in out


@NARROWEST
def test_inner_loops_once_per_strategy_and_layout(capsys):
    _, out, _ = run(capsys, "run", SMALL, "-s", "microkernel,tiled", *QUICK, "--asm")
    titles = re.findall(
        r"^(\w+ \w+): \d+x\d+ tile, \d+ .*, \d+\+\d+ loads, 0 spills, \w+$", out, re.MULTILINE
    )
    assert titles == ["microkernel nchw", "microkernel nhwc"]
    _, out, _ = run(capsys, "run", "--gemm", "64x64x64", "-s", "packed", *QUICK, "--asm")
    assert re.search(r"^packed: \d+x\d+ tile, ", out, re.MULTILINE)


@NARROWEST
def test_a_dry_run_keeps_the_instruction_set(capsys):
    name = isa.available()[0]
    _, out, _ = run(capsys, "run", SMALL, "--isa", name, "--dry-run")
    assert out.startswith(f"convprof run --isa {name} ")


def test_a_peak_is_measured_once_where_the_width_is_the_machines(monkeypatch):
    measured = []

    def measure(dtype, threads, bits, *, fused):
        measured.append((dtype, threads, bits))
        return Peak("x", bits, dtype, threads, 1e9 * bits, None, None, None, fused)

    monkeypatch.setattr(peaks, "measure", measure)
    machine = MachineModel(facts())
    (whole,) = machine.measure_peaks("f32", [1])
    for name in isa.available():
        if isa.find(name).bits == whole.bits:
            (own,) = machine.measure_peaks("f32", [1], name)
            assert (own.isa, own.flop_per_s) == (name, whole.flop_per_s)
    assert measured == [("f32", 1, whole.bits)]


SEVERAL = pytest.mark.skipif(len(isa.widths()) < 2, reason="one instruction set")


def conclusion(wide, narrow):
    """Return the beginning of the sentence on instruction sets; other programs may disturb."""
    clear = rf"^With {wide} \(.* as long as with {narrow} \("
    return rf"(?m){clear}|^The instruction sets cannot be compared"


@SEVERAL
def test_several_instruction_sets_in_the_same_rounds(capsys, invalid, tmp_path):
    *_, narrow, wide = isa.widths()
    path = tmp_path / "r.json"
    words = ["run", SMALL, "-s", "microkernel,tiled", *QUICK, "--isa", f"{narrow},{wide}"]
    status, out, _ = run(capsys, *words, "--json", path, "--csv", tmp_path / "r.csv")
    assert status == 0
    document = json.loads(path.read_text())
    assert invalid(document) == []
    assert document["settings"]["isa"] == f"{narrow},{wide}"
    assert [p["isa"] for p in document["ceilings"]["isa_peaks"]] == [narrow, wide]
    peaks = {p["isa"]: p["flop_per_s"] for p in document["ceilings"]["isa_peaks"]}
    rows = {(m["strategy"], m["layout"], m["isa"]): m for m in document["measurements"]}
    assert set(rows) == {
        *((name, layout, each) for name, layout, each in (
            ("microkernel", "nchw", narrow), ("microkernel", "nchw", wide),
            ("microkernel", "nhwc", narrow), ("microkernel", "nhwc", wide),
            ("tiled", "nchw", None), ("tiled", "nhwc", None),
        )),
    }  # fmt: skip
    for (_, _, name), m in rows.items():
        if name is not None:
            expected = m["flop_per_s"] / peaks[name]
            assert m["peak_fraction"] == pytest.approx(expected)
    sides = [(c["kind"], c["a"]["isa"], c["b"]["isa"]) for c in document["comparisons"]]
    assert sides == [("isas", wide, narrow)] * 2
    assert re.search(conclusion(wide, narrow), out)
    assert re.search(r"^strategy +layout +ISA ", out, re.MULTILINE)
    assert (tmp_path / "r.csv").read_text().count(",isas,microkernel,") == 2

    status, again, _ = run(capsys, "show", path)
    assert status == 0
    assert re.search(conclusion(wide, narrow), again)


@SEVERAL
@pytest.mark.parametrize("command", ["layouts", "peers"])
def test_comparisons_of_layouts_and_libraries_too(command, capsys, invalid):
    *_, narrow, wide = isa.widths()
    words = ["compare", command, SMALL, "-s", "microkernel", *QUICK, "--isa", f"{narrow},{wide}"]
    status, out, _ = run(capsys, *words, "--json", "-")
    document = json.loads(out)
    assert (status, invalid(document)) == (0, [])
    kinds = [c["kind"] for c in document["comparisons"]]
    assert kinds.count("isas") == 2
    assert kinds.count("layouts") == (2 if command == "layouts" else 0)
    _, out, _ = run(capsys, *words)
    assert re.search(conclusion(wide, narrow), out)
    assert " ISA " in out


@SEVERAL
def test_the_roofline_has_the_peaks_of_all(capsys):
    *_, narrow, wide = isa.widths()
    words = ["roofline", SMALL, "-s", "microkernel", *QUICK, "--isa", f"{narrow},{wide}"]
    status, out, _ = run(capsys, *words)
    assert status == 0
    assert re.search(r"^strategy +layout +ISA ", out, re.MULTILINE)


@SEVERAL
def test_a_sweep_compares_them_at_each_point_and_continues(capsys, tmp_path, invalid):
    *_, narrow, wide = isa.widths()
    words = ["sweep", "gemm", "--range", "16,24", "-s", "packed,naive", *QUICK]
    words += ["--isa", f"{narrow},{wide}", "--json", tmp_path / "points.jsonl"]
    status, out, _ = run(capsys, *words)
    assert status == 0
    assert re.search(rf"^size .* packed {narrow} +packed {wide} +naive ", out, re.MULTILINE)
    assert re.search(rf"^{wide} \(.*takes [0-9.]+ times as long as {narrow} ", out, re.MULTILINE)
    assert run(capsys, *words)[1] == out  # every point is read from the file
    header, *points = map(json.loads, (tmp_path / "points.jsonl").read_text().splitlines())
    assert header["settings"]["isa"] == f"{narrow},{wide}"
    assert invalid(header) == []
    assert [[c["kind"] for c in point["comparisons"]] for point in points] == [["isas"]] * 2


@SEVERAL
def test_a_network_compares_its_chains(capsys, tmp_path, invalid):
    *_, narrow, wide = isa.widths()
    words = ["network", "lenet5", "--image", "16", "-t", "1", "--tune", "off", "--budget", "0.001"]
    words += ["--isa", f"{narrow},{wide}", "--json", tmp_path / "n.json"]
    status, out, _ = run(capsys, *words)
    assert status == 0
    table = out.partition("instruction sets\n")[2].splitlines()
    assert [line.split()[0] for line in table[:4] if line[0] != "\u2500"] == ["ISA", narrow, wide]
    assert re.search(
        rf"^With {wide} .* chain nhwc on 1 thread takes .* with {narrow} ", out, re.MULTILINE
    )
    document = json.loads((tmp_path / "n.json").read_text())
    assert invalid(document) == []
    (compared,) = document["comparisons"]
    assert (compared["a"]["isa"], compared["b"]["isa"]) == (wide, narrow)
    layers = [m for m in document["measurements"] if m["problem"]["kind"] == "conv2d"]
    assert {m["isa"] for m in layers} == {wide}


@SEVERAL
def test_names_are_taken_once_and_all_means_all(capsys):
    for text in ("all", "native,all"):
        _, out, _ = run(
            capsys, "run", SMALL, "-s", "microkernel", *QUICK, "--isa", text, "--json", "-"
        )
        found = json.loads(out)["measurements"]
        assert list(dict.fromkeys(m["isa"] for m in found)) == list(isa.available())
    widest = isa.available()[-1]
    text = f"native,{widest}"
    _, out, _ = run(capsys, "run", SMALL, "-s", "microkernel", *QUICK, "--isa", text, "--json", "-")
    document = json.loads(out)
    assert {m["isa"] for m in document["measurements"]} == {widest}
    assert document["comparisons"] == []


@pytest.mark.parametrize("words", [["ladder", "gemm", "--size", "32"], ["compare", "mixers"]])
def test_a_command_with_one_instruction_set_refuses_several(words, capsys):
    status, _, err = run(capsys, *words, "--isa", "sse,avx2")
    assert status == 2
    assert "--isa sse,avx2: this command takes one instruction set; run, compare and" in err


@SEVERAL
@pytest.mark.parametrize("more", [["--plan"], ["--pass", "forward"]])
def test_a_plan_and_the_passes_have_one_instruction_set(more, capsys):
    *_, narrow, wide = isa.widths()
    status, _, err = run(capsys, "network", "lenet5", *more, "--isa", f"{narrow},{wide}")
    assert status == 2
    assert f"--isa {narrow},{wide}: name one" in err
