"""`show` prints a document of every kind as the command that wrote it; damaged ones are refused."""

from __future__ import annotations

import io
import json
import math
import time
from dataclasses import replace

import pytest
from compared_environments import FACTS, pair, sides
from rich.console import Console
from saved_runs import document as result_document
from saved_runs import side, timed
from small_network import found as network
from small_network import small

from convprof.errors import InputError
from convprof.logs.operation import Call, Operation, Reading
from convprof.machine.bandwidth import Bandwidth
from convprof.machine.ceilings_store import Ceilings
from convprof.machine.core_latency import CoreLatency
from convprof.machine.node_bandwidth import NodeBandwidth
from convprof.machine.noise import NoiseWatch
from convprof.machine.peaks import Peak
from convprof.measure.programs import ProgramRun
from convprof.networks.summary import Listed, summarise
from convprof.problems.conv2d import Conv2d
from convprof.render import ceilings as ceilings_tables
from convprof.render import diagnose as diagnose_tables
from convprof.render import history as history_tables
from convprof.render import instructions as instruction_tables
from convprof.render.compare import programs as program_tables
from convprof.render.compare import results as result_tables
from convprof.render.compare.environments import environments_report
from convprof.render.compare.environments_chart import environments_chart
from convprof.render.instructions_chart import instructions_chart
from convprof.render.network import run as network_tables
from convprof.render.network import summary as summary_tables
from convprof.render.network.repeats import Extent as Layers
from convprof.render.show import Extent, view_of
from convprof.render.study import page as pages
from convprof.render.study.chart import page_chart
from convprof.results import Flops, Measurement, Time, envelope
from convprof.stats import Ratio
from convprof.studies import ceilings, show
from convprof.studies.compare import results
from convprof.studies.compare.environments_answer import answer as environments_answer
from convprof.studies.compare.programs import Program, Programs, document_of
from convprof.studies.compare.programs import Settings as ProgramSettings
from convprof.studies.compare.programs_answer import answer as programs_answer
from convprof.studies.compare.results_answer import answer as results_answer
from convprof.studies.diagnose.faster import Faster
from convprof.studies.diagnose.finding import Finding
from convprof.studies.diagnose.groups import Group
from convprof.studies.diagnose.result import DiagnosisResult, Log
from convprof.studies.diagnose.rows import row_of
from convprof.studies.document import document as study_document
from convprof.studies.history import study as history
from convprof.studies.history.points import Point
from convprof.studies.history.store import Saved
from convprof.studies.instructions import Missing, Resemblance
from convprof.studies.instructions import Row as Instruction
from convprof.studies.network.concurrency import Concurrency, Mode
from convprof.studies.next_command import AFTER_STUDY, after_threads, after_tiles
from convprof.studies.saved_answer import measuring_only
from convprof.studies.study.page import Advice, Figure, Line, Page, Plot, Row, Section, Unit
from convprof.studies.study.page import Finding as Conclusion

WIDTH = 140
MACHINE = {"key": "0123456789ab", "brand": "A CPU", "simd": {}, "physical_cores": 2}
STATE = {"core_hz": None, "load_per_core": 0.1, "noise": []}


def printed(report):
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None)
    report(console)
    return console.file.getvalue()


def text_of(form):
    written = form()
    return written if isinstance(written, str) else "".join(written)


def read(content, tmp_path):
    path = tmp_path / "saved.json"
    path.write_text(json.dumps(content, allow_nan=False))
    return show.read_any(str(path))


def of_a_study():
    rows = tuple(
        Row({"tile": f"{n}x1", "turn": t}, {"sums": n}, 1e10, Figure(n * 1e9, 0.9e9 * n, None))
        for n in (1, 8)
        for t in (1, 2)
    )
    plot = Plot(
        "lines", "sums", "sums", "turn", "GFLOP/s", expected="theory",
        levels=(Line("peak", 1.2e10),), cells=(("fits", ((1, 2),)),),
    )  # fmt: skip
    plot = replace(plot, cells=())
    sections = (Section("rates", Unit("GFLOP/s", 1e9), rows, "turn", plot, "FLOP", ("a note",)),)
    conclusion = Conclusion("this is expected", "that was measured", 0.8, "memory")
    command = "convprof run 64x64:64x64 -s unrolled"
    answer = Advice(("Keep 8 sums.",), command, headline="8 sums are enough")
    page = Page("unroll", "unroll: a title", {}, sections, (conclusion,), ("a fact",), answer)
    content = study_document(page, {}, NoiseWatch(2), interrupted=False)
    forms = {"csv": "".join(pages.to_csv(page)), "markdown": pages.to_markdown(page, answer)}
    chart = page_chart(page, dated="A CPU")
    return content, lambda c: pages.page_report(c, page), forms, chart, answer


def of_a_diagnosis():
    problem = Conv2d(n=1, c=8, h=8, w=8, k=8, r=3, s=3)
    conv = Group(Operation("oneDNN", "conv", problem.descriptor, "f32", "nchw", "jit", problem))
    conv.add(Call(conv.operation, 1e-3, "execution"))
    move = Group(Operation("oneDNN", "reorder", "1x8", "f32", "a->b", is_conversion=True))
    move.add(Call(move.operation, 3e-3, "execution"))
    first, second = (row_of(group, 4e-3, 1) for group in (conv, move))
    best = Measurement(
        first.measurement.problem, "auto", "nhwc", "f32", 1, "hot", "ok",
        time_s=Time(5e-4, 0.0, 4e-4, 6e-4, 5e-4, 1, 1), flops=first.measurement.flops,
    )  # fmt: skip
    first = replace(
        first, least_s=1e-4, peak_fraction=0.1, bound="compute", faster=Faster(best, best)
    )
    reading = Reading(lines=9, calls=2, foreign=1)
    reading.begin("oneDNN", "3.1")
    result = DiagnosisResult(
        rows=[first, second],
        findings=[Finding("reorders", "They take 75 %.", "Keep a layout.", 3e-3)],
        log=Log.of(reading, ["run.log"]),
        threads=1,
        not_measured=["a reason"],
    )
    content = envelope(
        "diagnosis", machine=MACHINE, settings={"threads": 1}, interrupted=False,
        ceilings={"peaks": [], "bandwidths": []}, **result.to_json(),
    )  # fmt: skip
    forms = {
        "csv": text_of(lambda: diagnose_tables.to_csv(result)),
        "markdown": diagnose_tables.to_markdown(result),
    }
    report = lambda c: diagnose_tables.diagnosis_report(c, result, top=20)  # noqa: E731
    return content, report, forms, None, result.answer()


def of_ceilings():
    now = time.time()
    peaks = (Peak("avx512", 512, "f32", 1, 1.9e11, 3e9, 63.9, 2),)
    bandwidths = (Bandwidth("L1", "load", 1, 4e11, 4096),)
    latencies = (CoreLatency((0, 1), 1e-7, 9e-8, None), CoreLatency((0, 2), None, None, "offline"))
    nodes = (NodeBandwidth(0, 2, 4e10, None),)
    sets = [
        Ceilings(1, now - 90_000, peaks, bandwidths, load=0.7, llvm="20"),
        Ceilings(2, now - 90_000, (), (), latencies=latencies, nodes=nodes),
    ]
    content = {**ceilings.document(sets), "machine": MACHINE}
    how = {"now": now, "machine": MACHINE["key"]}
    forms = {
        "csv": "".join(ceilings_tables.to_csv(content)),
        "markdown": ceilings_tables.to_markdown(sets, ["f32"], **how),
    }
    report = lambda c: ceilings_tables.ceilings_report(c, sets, ["f32"], **how)  # noqa: E731
    return content, report, forms, None, None


def of_instructions():
    row = Instruction(
        name="fma f32 512", operation="fma", source_dtype=None, dtype="f32", bits=512,
        operands=None, mnemonic="fmadd231ps", lanes=16, latency=3.99, reciprocal_throughput=0.5,
        elements_per_cycle=32.0, ops_per_cycle=64.0, latency_spread=0.001, throughput_spread=0.002,
        stable=True, passes=12, core_hz=3e9, note="a note",
        published={"Zen 4": {"latency": 4.0, "reciprocal_throughput": None}},
    )  # fmt: skip
    missing, alike = (
        [Missing("mul i64 512", "it needs AVX512DQ")],
        [Resemblance("Zen 4", 1, 1, 0, 0.0)],
    )
    view = instruction_tables.View([row], missing, [("Zen 4", "uops.info")], alike, "calibrated")
    content = envelope(
        "instructions", machine=MACHINE, state=STATE, settings={"match": None}, rows=[row],
        missing=missing, published=[{"name": "Zen 4", "source": "uops.info", "model": None}],
        resemblances=alike, resembles="Zen 4", cycle_source="calibrated", interrupted=False,
    )  # fmt: skip
    forms = {
        "csv": instruction_tables.to_csv(view),
        "markdown": instruction_tables.to_markdown(view),
    }
    report = lambda c: instruction_tables.instructions_report(c, view, everything=False)  # noqa: E731
    answer = instruction_tables.answer(view, everything=False)
    return content, report, forms, instructions_chart(view, dated="A CPU"), answer


def of_a_history():
    point = Point("gemm", "64x64:64x64", None, "packed", None, "f32", 1, "hot", None, 1e-5, 0.5)
    runs = [
        Saved(
            n, 1.7e9 + 90_000 * n, "main", "0123456789ab", "A CPU", replace(point, seconds=n / 1e5)
        )
        for n in (1, 2)
    ]
    lines = [history.Line(runs, [history.Change(runs[1], 0.5, 0.4)], by_peak=True)]
    answer = history.answer(lines)
    content = history.document(lines, answer)
    forms = {
        "csv": text_of(lambda: history_tables.to_csv(lines)),
        "markdown": text_of(lambda: history_tables.to_markdown(lines)),
    }
    report = lambda c: history_tables.history_report(c, lines, every=False)  # noqa: E731
    return content, report, forms, history_tables.history_chart(lines), answer


def of_a_comparison(*, matched=True):
    base = side(result_document(timed(1e-5), timed(2e-5, strategy="naive")), name="base.json")
    new = side(
        result_document(timed(1.2e-5, 1) if matched else timed(1e-5, dtype="f64")), name="new"
    )
    compared = [results.compare(base, new)]
    answer = results_answer(compared, 0.05)
    content = results.document(compared, "slower:5%", answer)
    forms = {
        "csv": text_of(lambda: result_tables.to_csv(compared)),
        "markdown": text_of(lambda: result_tables.to_markdown(compared, every=False)),
    }
    return content, lambda c: result_tables.results_report(c, compared), forms, None, answer


def with_bytes(result):
    """Return the same result; a measurement of a document says how many bytes move at least."""
    chain = replace(result.chain, bytes_min=0)
    layers = [
        replace(layer, **{
            cache: replace(m, bytes_min=0)
            for cache, m in (("hot", layer.hot), ("cold", layer.cold))
            if m is not None
        })
        for layer in result.layers
    ]  # fmt: skip
    libraries = [
        replace(each, a=replace(each.a, bytes_min=0), b=chain) for each in result.libraries
    ]
    return replace(result, chain=chain, layers=layers, libraries=libraries)


def of_a_network(**changes):
    result = with_bytes(network(**changes))
    measurements = [m for layer in result.layers for m in (layer.hot, layer.cold) if m is not None]
    whole = [result.chain, *(each.a for each in result.libraries)]
    content = json.loads(json.dumps(result_document(), allow_nan=False))
    content["networks"] = [result.to_json()]
    content["measurements"] = envelope("", m=[*measurements, *whole])["m"]
    forms = {"csv": network_tables.run_csv(result)}
    report = lambda c: network_tables.run_report(c, result, Layers())  # noqa: E731
    return content, report, forms, None, None


def of_a_summary():
    summary = summarise(small())
    content = envelope("network", counting=[], network=summary.to_json())
    forms = {
        "csv": "".join(summary_tables.summary_csv(summary)),
        "markdown": summary_tables.summary_markdown(summary),
    }
    return content, lambda c: summary_tables.summary_report(c, summary), forms, None, None


def of_a_list():
    listed = [Listed.of(summarise(small()))]
    content = envelope("networks", counting=[], networks=[each.to_json() for each in listed])
    forms = {
        "csv": "".join(summary_tables.list_csv(listed)),
        "markdown": summary_tables.list_markdown(listed),
    }
    return content, lambda c: summary_tables.list_report(c, listed), forms, None, None


def on_two_threads():
    result = with_bytes(network())
    one = replace(result.chain, threads=1)
    streams = replace(result.chain, strategy="streams")
    per_node = replace(result.chain, strategy="streams of 2 threads", threads=4)
    ratio = Ratio(0.6, 0.55, 0.65, 25)
    modes = (Mode(1, 1, one, None, None, 1), Mode(1, 2, result.chain, ratio, None, 1),
             Mode(2, 1, streams, ratio, None, 1), Mode(2, 2, per_node, ratio, None, 1))  # fmt: skip
    content, *_ = of_a_network()
    content["measurements"] += envelope("", m=[one, streams, per_node])["m"]
    result = replace(result, concurrency=Concurrency(modes, ratio))
    content["networks"] = [result.to_json()]
    report = lambda c: network_tables.run_report(c, result, Layers())  # noqa: E731
    return content, report, {}, None, None


def of_programs():
    all_programs = [Program(name, f"run {name}", ()) for name in "AB"]
    all_programs.append(Program("C", "false", (), reason="exit code 1"))
    for program, seconds in zip(all_programs[:2], (1.0, 1.5), strict=True):
        program.runs = {number: ProgramRun(seconds, 0.5) for number in range(6)}
    whole = Programs(all_programs, ProgramSettings(), {})
    content = document_of(whole, NoiseWatch(2), {"argv": []}, None, interrupted=False)
    forms = {
        "csv": "".join(program_tables.to_csv(whole)),
        "markdown": "".join(program_tables.to_markdown(whole)),
    }
    chart = program_tables.programs_chart(whole, dated="A CPU")
    report = lambda c: program_tables.programs_report(c, whole)  # noqa: E731
    return content, report, forms, chart, programs_answer(whole)


def of_environments():
    flops = Flops(1024, 1024)
    whole = {"flops": flops, "bytes_min": 768, "bytes_moved": 768, "max_rel_error": 1e-7}
    pairs = [pair(1.2, low=1.1, high=1.3, **whole), pair(1.0, strategy="torch", **whole)]
    measurements = sides(pairs)
    content = result_document()
    content["machine"], content["comparisons"] = MACHINE, [each.to_json() for each in pairs]
    content["measurements"] = envelope("", m=measurements)["m"]
    content["settings"] = envelope("", e=FACTS[:2])["e"]
    content["settings"] = {"environments": content["settings"]}
    report = lambda c: environments_report(c, FACTS[:2], pairs, measurements)  # noqa: E731
    answer = replace(environments_answer(pairs, measurements, FACTS[:2]), command="")
    return content, report, {}, environments_chart(pairs, dated="A CPU"), answer


DOCUMENTS = {
    "programs": of_programs,
    "environments": of_environments,
    "study": of_a_study,
    "diagnosis": of_a_diagnosis,
    "ceilings": of_ceilings,
    "instructions": of_instructions,
    "history": of_a_history,
    "comparison": of_a_comparison,
    "comparison without a match": lambda: of_a_comparison(matched=False),
    "network": of_a_network,
    "network on several threads": on_two_threads,
    "network in short floats": lambda: of_a_network(widened=["pool"]),
    "summary": of_a_summary,
    "list": of_a_list,
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_prints_what_its_command_printed(name, tmp_path, invalid):
    content, report, forms, chart, answer = DOCUMENTS[name]()
    if "network" not in name:
        assert invalid(json.loads(json.dumps(content))) == []
    view = view_of(read(content, tmp_path), Extent())
    assert view.lacks == ()
    assert printed(report) in printed(view.report)
    for form, text in forms.items():
        assert text_of(view.forms[form]) == text
    if chart is not None:
        assert view.chart("A CPU") == chart
    if answer is not None:
        assert view.answer() == answer


def damaged(value):
    """Yield a document without a part, and with a part of another type, for each part."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield {other: part for other, part in value.items() if other != key}
            for wrong in (None, "text", -1, [], {}, [None], True):
                yield {**value, key: wrong}
            for changed in damaged(item):
                yield {**value, key: changed}
    elif isinstance(value, list) and value:
        for changed in damaged(value[0]):
            yield [changed, *value[1:]]


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if not name.startswith("network ")])
def test_a_damaged_document_is_refused_or_printed(name, tmp_path):
    content, *_ = DOCUMENTS[name]()
    plain = json.loads(json.dumps(content))
    every = list(damaged(plain))
    messages = []
    step = max(1, math.ceil(len(every) / 25))  # tests/fuzz/hostile_documents.py has all of them
    for changed in every[::step]:
        try:
            view = view_of(read(changed, tmp_path), Extent())
        except InputError as error:
            messages.append(str(error))
            continue
        printed(view.report)
        view.answer()
        for form in view.forms.values():
            text_of(form)
        if view.chart is not None:
            view.chart("A CPU")
    assert messages
    assert not any("\n" in message for message in messages)


def test_a_layer_of_an_older_document_has_its_descriptor(tmp_path):
    content, *_ = of_a_network()
    new = ("text", "epilogue", "output", "macs", "problem_kind", "is_opaque")
    for layer in content["networks"][0]["layers"]:
        for field in new:
            del layer[field]
    view = view_of(read(content, tmp_path), Extent())
    assert view.lacks == (
        "it lacks what each layer computes and writes: an older convprof wrote it",
    )
    assert "by kind of layer" in printed(view.report)


def test_a_command_that_may_write_or_run_something_is_not_recommended(tmp_path):
    content, *_ = of_a_study()
    for command in (
        "convprof run 4x4:4x4 --json /etc/passwd", "rm -rf /", "convprof trace -- rm -rf /",
        "convprof run x; rm", "convprof run $(x)", "convprof run 'a", "convprof network a.py:f",
        "convprof",
    ):  # fmt: skip
        content["answer"]["command"] = command
        assert view_of(read(content, tmp_path), Extent()).answer().command == ""


def test_a_network_without_the_times_of_its_layers_is_shown_problem_by_problem(tmp_path):
    content, *_ = of_a_network()
    content["measurements"] = content["measurements"][2:]
    view = view_of(read(content, tmp_path), Extent())
    (line,) = view.lacks
    assert line.startswith("it is shown problem by problem: the time of layer1.0.conv1 is not in")
    assert "problem" in printed(view.report)


@pytest.mark.parametrize("command", [*AFTER_STUDY.values(), after_tiles(64), after_threads(64, 2)])
def test_what_a_study_recommends_is_recommended_again(command):
    assert measuring_only(command) == command


def test_some_instructions_are_shown(tmp_path):
    content, *_ = of_instructions()
    other = {**content["rows"][0], "name": "add i64 scalar"}
    saved = read({**content, "rows": [content["rows"][0], other]}, tmp_path)
    text = printed(view_of(saved, Extent(match="^add")).report)
    assert "add i64 scalar" in text
    assert "fma f32 512 " not in text
    with pytest.raises(InputError, match="match=x: matches no instruction in the document"):
        view_of(saved, Extent(match="x"))
