from __future__ import annotations

import gzip
import json
import math
from collections import Counter
from pathlib import Path

import pytest

from convprof.logs.operation import Call, Operation
from convprof.networks import find
from convprof.studies import next_command
from convprof.studies.diagnose import groups as groups_module
from convprof.studies.diagnose.groups import MOST_TIMES, Group, Groups
from convprof.studies.diagnose.study import Diagnosis

DATA = Path(__file__).parents[2] / "data" / "logs"
LOGS = sorted(path.name for path in DATA.iterdir())
PEAK = 1e11
CONV = (
    "convolution,{impl},forward_inference,src:{type}::blocked:acdb::f0 "
    "wei:{type}::blocked:Acdb64a::f0 dst:{type}::blocked:acdb::f0,,alg:convolution_direct,"
    "mb1_ic{c}oc64_ih56oh56kh3sh1dh0ph1_iw56ow56kw3sw1dw0pw1"
)
CONV_FLOPS = 2 * 64 * 64 * 9 * 56 * 56


def conv(ms, event="exec", *, impl="jit:avx512_core", dtype="f32", c=64):
    text = CONV.format(impl=impl, type=dtype, c=c)
    return f"onednn_verbose,v1,primitive,{event},cpu,{text},{ms}\n"


def reorder(ms):
    return (
        "onednn_verbose,v1,primitive,exec,cpu,reorder,jit:uni,undef,src:f32::blocked:abcd::f0 "
        f"dst:f32::blocked:aBcd16b::f0,,,1x64x56x56,{ms}\n"
    )


@pytest.fixture
def diagnosis(machine_of, tmp_path):
    """Return what diagnoses a text, or a log of tests/data, against a fixed peak."""

    def made(text="", *, names=(), threads=1, peak=PEAK, model=None):
        paths = [str(DATA / name) for name in names]
        if text:
            (tmp_path / "log").write_text(text)
            paths.append(str(tmp_path / "log"))
        study = Diagnosis(paths, machine_of(peak), threads, model=model)
        for step in (*study.reading(), *study.ceilings()):
            assert step
        return study

    return made


def kinds(study):
    return [finding.kind for finding in study.result().findings]


def counted_s(path):
    """Return the time of a log, added up by other means than the readers."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    if text.startswith("layerName"):
        return sum(float(row.split(";")[-2]) for row in text.split() if row[:5] == "Total") / 1e3
    if text[0] in "[{":
        document = json.loads(text)
        if "detailed_performance" in document:
            reports = document["detailed_performance"]
            return sum(float(report["total_real_time"]) for report in reports) / 1e3
        return (profile_us(document) if isinstance(document, list) else trace_us(document)) / 1e6
    lines = text.splitlines()
    return mkl_s(lines) + onednn_s(lines)


def mkl_s(lines):
    words = [w for line in lines if "MKL_V" in line for w in line.split() if w[-2:] in ("us", "ms")]
    return sum(float(word[:-2]) * {"us": 1e-6, "ms": 1e-3}[word[-2:]] for word in words)


def onednn_s(lines):
    whole = [line for line in lines if ",graph," not in line and "create_nested" not in line]
    ends = [line.rpartition(",")[2] for line in whole if "_verbose," in line]
    return sum(float(end) for end in ends if end.replace(".", "").isdigit()) / 1e3


def profile_us(events):
    loading = ("model_loading_array", "model_loading_uri", "session_initialization")
    return sum(e["dur"] for e in events if e["cat"] == "Node" or e["name"] in loading)


def trace_us(document):
    total, end = 0.0, -1.0
    for event in document["traceEvents"]:
        if event.get("cat") == "cpu_op" and event["ts"] >= end:
            total, end = total + event["dur"], event["ts"] + event["dur"]
    return total


@pytest.mark.parametrize("name", LOGS)
def test_rows_add_up_to_the_log(diagnosis, name):
    study = diagnosis(names=[name])
    assert math.isclose(study.result().total_s, counted_s(DATA / name), rel_tol=0.01)
    assert math.isclose(math.fsum(row.share for row in study.rows()), 1)
    assert sum(row.calls + row.created + row.reused for row in study.rows()) == study.log.calls


def test_several_logs_are_one_diagnosis(diagnosis):
    both = diagnosis(names=["onednn-3.12.log", "mkl-2024.log"])
    names = ("onednn-3.12.log", "mkl-2024.log")
    apart = [diagnosis(names=[name]).result().total_s for name in names]
    assert math.isclose(both.result().total_s, math.fsum(apart))
    assert {row.operation.library for row in both.rows()} == {"oneDNN", "MKL"}


@pytest.mark.parametrize("name", LOGS)
def test_the_document_keeps_the_schema(diagnosis, invalid, name):
    document = diagnosis(names=[name]).to_json({"argv": ["diagnose", name]})
    assert invalid(document) == []
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_what_is_lost(diagnosis):
    study = diagnosis(conv(4, "create:cache_miss") + conv(10) + conv(6) + conv(6))
    (row,) = study.rows()
    least = CONV_FLOPS / PEAK
    assert (row.calls, row.created) == (3, 1)
    assert (row.median_s, row.first_s) == (6e-3, 10e-3)
    assert math.isclose(row.total_s, 26e-3)
    assert math.isclose(row.lost_s, 26e-3 - 3 * least)
    assert math.isclose(row.peak_fraction, least / 6e-3)
    assert math.isclose(study.result().lost_s, row.lost_s)


def test_most_lost_comes_first_and_what_has_no_ceiling_counts_whole(diagnosis):
    fast = 1e3 * CONV_FLOPS / PEAK
    study = diagnosis(conv(1.1 * fast) * 2 + reorder(1) + conv(9, c=32))
    assert [row.operation.kind for row in study.rows()] == ["convolution", "reorder", "convolution"]
    assert study.rows()[0].operation.text.startswith("mb1_ic32")


def test_types_without_a_peak_have_a_rate_and_no_share(diagnosis):
    row, _ = diagnosis(conv(9, dtype="f8_e4m3") + conv(1)).rows()
    assert row.flop_per_s is not None
    assert row.peak_fraction is row.lost_s is None


def test_a_row_over_the_peak_is_never_concluded_from(diagnosis):
    study = diagnosis(conv(0.1) * 3)
    (row,) = study.rows()
    assert row.over
    assert row.lost_s is None
    assert kinds(study) == ["faster than the peak"]
    assert "none of them has a ceiling" in study.result().answer().sentences[0]
    assert len(study.result().answer().sentences) == 1


def test_what_happens_once_comes_after_what_to_act_on(diagnosis):
    study = diagnosis(conv(50, "create:cache_miss") + conv(9) + reorder(9))
    assert kinds(study) == ["reorders", "creation"]
    assert study.result().answer().sentences[-1].startswith("Act first on: reorders")


def test_a_doubt_comes_after_what_to_act_on(diagnosis):
    study = diagnosis(conv(0.1) * 30 + reorder(2))
    assert kinds(study) == ["reorders", "faster than the peak"]
    assert study.result().answer().sentences[-1].startswith("Act first on: reorders")


def test_flops_are_those_of_the_network(diagnosis):
    layer = find("resnet18:layer1.0.conv1")[0]
    (row,) = diagnosis(conv(3)).rows()
    assert row.operation.problem == layer
    assert row.to_json()["flops"] == layer.flops


@pytest.mark.parametrize(
    ("name", "passes"),
    [
        ("resnet18-nchw.log.gz", 1),
        ("resnet18-cl.log.gz", 1),
        ("resnet18-cl-bf16.log.gz", 1),
        ("resnet18-torch-cl.json.gz", 1),
        ("resnet18-torch-compiled.json.gz", 2),
        ("resnet18-ort.json.gz", 2),
    ],
)
def test_every_layer_of_a_network_is_recognised_in_its_log(diagnosis, name, passes):
    calls = Counter()
    for row in diagnosis(names=[name]).rows():
        if row.operation.problem is not None:
            calls[row.operation.problem] += row.calls
    assert calls == {layer: n * passes for layer, n in Counter(find("resnet18")).items()}


@pytest.mark.parametrize(
    ("name", "passes"),
    [("resnet18-ort.json.gz", 2), ("resnet18-openvino.csv", 1), ("resnet18-openvino.json.gz", 1)],
)
def test_every_layer_is_recognised_with_the_model_that_ran(diagnosis, name, passes):
    pytest.importorskip("onnx")
    from convprof.networks.onnx.model_nodes import model_nodes

    calls = Counter()
    for row in diagnosis(names=[name], model=model_nodes(DATA.parent / "resnet18.onnx")).rows():
        if row.operation.problem is not None:
            calls[row.operation.problem] += row.calls
    assert calls == {layer: n * passes for layer, n in Counter(find("resnet18")).items()}


def test_counters_without_a_model_have_names_types_and_times(diagnosis):
    rows = diagnosis(names=["resnet18-openvino.csv"]).rows()
    first = next(row for row in rows if row.operation.text == "/c/Conv/WithoutBiases")
    assert (first.operation.implementation, first.operation.types) == ("brgconv_avx512", "f32")
    assert [row.operation.text for row in rows if row.operation.is_conversion] == [
        "Convert_328_abcd_acdb_/c/Conv/WithoutBiases"
    ]


def test_reorders(diagnosis):
    assert kinds(diagnosis(conv(9) + reorder(2))) == ["reorders"]
    assert kinds(diagnosis(conv(19) + reorder(2))) == []


def test_weights_that_are_packed_in_each_call(diagnosis):
    text = reorder(2).replace("aBcd16b", "Acdb64a")
    assert kinds(diagnosis(conv(9) + text)) == ["weights packed again"]
    assert kinds(diagnosis(conv(9) + text + reorder(3))) == ["reorders", "weights packed again"]


def test_threads_that_waited(diagnosis):
    least_ms = 1e3 * CONV_FLOPS / PEAK
    assert kinds(diagnosis(conv(60 * least_ms) + conv(9, c=32))) == ["threads waited"]
    assert kinds(diagnosis(conv(40 * least_ms))) == []


def test_a_reference_implementation_of_a_large_problem(diagnosis):
    assert kinds(diagnosis(conv(9, impl="ref:any"))) == ["reference implementation"]
    assert kinds(diagnosis(conv(9, impl="brg:avx2"))) == []


def test_creation_repeated_for_one_shape(diagnosis):
    text = (conv(5, "create:cache_miss") + conv(9)) * 4
    (finding,) = diagnosis(text).result().findings
    assert finding.kind == "creation repeated"
    assert "was created 4 times" in finding.evidence
    assert math.isclose(finding.seconds, 20e-3)
    assert kinds(diagnosis(conv(5, "create:cache_miss") + conv(9))) == ["creation"]
    assert kinds(diagnosis((conv(0.01, "create:cache_hit") + conv(9)) * 4)) == []


def test_shapes_that_change_are_no_repetition(diagnosis, monkeypatch):
    monkeypatch.setattr(groups_module, "MOST_GROUPS", 3)
    text = "".join(conv(5, "create:cache_miss", c=c) + conv(9, c=c) for c in range(8, 72, 8))
    (finding,) = diagnosis(text).result().findings
    assert finding.kind == "creation"
    assert "8 creations of 4 or more different operations" in finding.evidence


def test_a_creation_in_each_process_is_no_repetition(diagnosis):
    process = "onednn_verbose,v1,info,oneDNN v3.12.0 (commit 0)\n"
    text = (process + conv(5, "create:cache_miss") + conv(9)) * 4
    assert kinds(diagnosis(text)) == ["creation"]


def test_more_threads_than_cores(diagnosis):
    header = "onednn_verbose,v1,info,cpu,runtime:OpenMP,nthr:4096\n"
    study = diagnosis(header + conv(9), threads=None)
    assert kinds(study) == ["more threads than cores"]
    assert study.threads == study.machine.facts.topology.usable_cpus


def test_bf16_slower_than_f32_would_be(diagnosis):
    at_quarter = 1e3 * CONV_FLOPS / (0.25 * PEAK)
    assert kinds(diagnosis(conv(at_quarter, dtype="bf16"))) == ["bf16 slower than f32"]
    assert kinds(diagnosis(conv(at_quarter / 3, dtype="bf16"))) == []


def test_a_depthwise_convolution_by_products(diagnosis):
    text = conv(9, impl="gemm:jit").replace("mb1_ic64oc64", "g64mb1_ic64oc64")
    assert "depthwise on a slow path" in kinds(diagnosis(text))


def test_a_few_long_calls_are_the_answer_where_they_are_most_of_the_loss(diagnosis):
    fast = 1e3 * CONV_FLOPS / PEAK
    rare = diagnosis(conv(20 * fast) + conv(1.5 * fast) * 3).result().answer().sentences[1]
    assert "of it because some calls take longer than the median, which reaches 67 %" in rare
    usual = diagnosis(conv(3 * fast) + conv(2 * fast) * 3).result().answer().sentences[1]
    assert usual.endswith("in 4 calls, at 50 % of the peak.")


def test_the_answer_names_the_worst_row_and_the_next_command(diagnosis):
    answer = diagnosis(conv(9) + reorder(2)).result().answer()
    first, second, third = answer.sentences
    assert first.startswith("6.69 ms of 11.0 ms")
    assert "mb1ic64ih56oc64oh56kh3ph1 by jit:avx512_core" in second
    assert third == "Act first on: reorders, 2.00 ms."
    assert answer.command == "convprof compare peers mb1ic64ih56oc64oh56kh3ph1 -t 1"


@pytest.mark.parametrize(("dtype", "option"), [("f32", ""), ("bf16", " --dtype bf16")])
def test_the_next_command_has_the_type_of_the_log(diagnosis, dtype, option):
    answer = diagnosis(conv(9, dtype=dtype)).result().answer()
    assert answer.command == f"convprof compare peers mb1ic64ih56oc64oh56kh3ph1{option} -t 1"


def test_a_type_that_no_library_computes_is_measured_in_f32(diagnosis, monkeypatch):
    monkeypatch.setattr(next_command, "libraries_take", lambda _: False)
    answer = diagnosis(conv(9, dtype="bf16")).result().answer()
    assert answer.command == "convprof compare peers mb1ic64ih56oc64oh56kh3ph1 -t 1"


def test_nothing_is_measured_for_a_log_without_problems(diagnosis):
    assert not diagnosis(reorder(2)).compares
    assert not diagnosis(conv(9, dtype="f8_e4m3")).compares
    assert diagnosis(conv(9, dtype="bf16")).compares


def test_the_median_of_many_calls_comes_from_evenly_chosen_ones():
    group = Group(Operation("x", "y", "z"))
    for number in range(20 * MOST_TIMES):
        group.add(Call(group.operation, float(number), "execution"))
    assert group.calls == 20 * MOST_TIMES
    assert math.isclose(group.median_s, 10 * MOST_TIMES, rel_tol=0.01)
    assert group.first_s == 0.0


def test_too_many_shapes_share_a_row_by_kind(monkeypatch):
    monkeypatch.setattr(groups_module, "MOST_GROUPS", 3)
    groups = Groups()
    for number in range(20):
        groups.add(Call(Operation("x", f"kind{number % 2}", str(number)), 1.0, "execution"))
    found = groups.all()
    assert [(g.operation.kind, g.operation.text, g.calls) for g in found[3:]] == [
        ("kind1", "other shapes", 9),
        ("kind0", "other shapes", 8),
    ]
    assert sum(group.seconds for group in found) == 20
