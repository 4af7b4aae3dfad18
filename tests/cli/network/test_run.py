"""`convprof network NAME` and `convprof network NAME --plan` as a user runs them."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from convprof import cli
from convprof.machine import facts
from convprof.measure import session as session_module
from convprof.measure.session import Session
from convprof.networks import vit
from convprof.networks.vit import Transformer
from convprof.problems.epilogue import NO_EPILOGUE
from convprof.strategies.peers.torch.strategy import TorchNetwork
from convprof.strategies.unfused_epilogue import UnfusedEpilogue
from convprof.studies import preflight
from convprof.studies.network import plan as plan_module
from convprof.studies.roofline_session import RooflineSession

VALIDATOR = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[3] / "docs" / "result-schema.json").read_text())
)
FAST = ["--budget", "0.001", "--tune", "off", "-t", "1", "-q"]
SMALL = ["network", "lenet5", "--image", "16", *FAST]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(session_module, "settle", lambda: None)


def run(capsys, *words):
    status = cli._status([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


def headings(out, first):
    """Return the columns, without units, of the table whose first column is ``first``."""
    (line,) = [line for line in out.splitlines() if line.startswith(f"{first} ")]
    return [re.sub(r" \[.*\]$", "", name) for name in re.split(r"\s{2,}", line.strip())]


# Layers and chain


def test_a_network_of_short_floats(capsys):
    status, out, err = run(capsys, *SMALL, "--dtype", "bf16", "--fuse")
    assert (status, err) == (0, "")
    assert re.search(r"All \d+ layers compute in bf16, with sums in f32\.", out)


def test_a_network_in_bytes(capsys):
    status, out, err = run(capsys, *SMALL, "--dtype", "int8", "--fuse")
    assert (status, err) == (0, "")
    assert "All 7 layers compute in bytes, with 2 conversions from and to f32." in out
    assert "conversions between f32 and bytes" in out
    status, out, err = run(capsys, *SMALL, "--dtype", "int8")
    assert (status, "--dtype int8: add --fuse" in err) == (2, True)
    status, out, err = run(capsys, *SMALL, "--fuse", "--dtype", "int8", "--pass", "training")
    assert status == 2


def timeline_of(path):
    """Return by process the rows and the names of the events in their order."""
    found = json.loads(path.read_text())["traceEvents"]
    processes = {e["pid"]: e["args"]["name"] for e in found if e["name"] == "process_name"}
    return {
        name: [e["name"] for e in found if e["ph"] == "X" and e["pid"] == process]
        for process, name in processes.items()
    }


def test_a_network_from_its_layers_to_its_chain(capsys, tmp_path):
    path = tmp_path / "timeline.json"
    status, out, err = run(capsys, *SMALL, "--trace", path)
    assert (status, err) == (0, "")
    timeline = timeline_of(path)
    assert list(timeline)[::2] == [
        "chain nhwc 1 thread", "each layer alone, hot caches", "each layer alone, cold caches",
    ]  # fmt: skip
    assert {tuple(names[:3]) for names in timeline.values()} == {("conv1", "relu1", "pool1")}
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[0] == "lenet5 of 1x1x16x16 · nhwc · f32 · 1 thread · 11 layers (1 view not timed)"
    kept = {"layer", "strategy", "hot", "share", "cycles/FLOP", "% of limit", "limited by", "chain"}
    assert kept <= set(headings(out, "layer"))
    assert headings(out, "kind")[:2] == ["kind", "layers"]
    assert [line.split()[0] for line in lines[3:14]][:3] == ["conv1", "relu1", "pool1"]
    begins = ("the network as a whole", "the chain: ", "The chain takes ")
    assert [sum(line.startswith(begin) for line in lines) for begin in begins] == [1, 1, 1]
    assert sum("1 multiply-add = 2 FLOPs" in line for line in lines) == 1
    answer = out.rpartition("\n\n")[2]
    assert re.match(r"[\w ]+ takes .* of the layers' time|No conclusion: ", answer)
    assert lines[-1].startswith("next: convprof ")


def test_80_columns_keep_what_matters_most(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = run(capsys, *SMALL)
    assert {"strategy", "hot", "share", "% of limit", "chain"} <= set(headings(out, "layer"))
    table = out.partition("\n% of limit:")[0]
    assert max(map(len, table.splitlines())) <= 80


def test_a_valid_document_and_nothing_else(capsys):
    words = ["network", "resnet18", "--image", "32", "--json", "-", *FAST]
    status, out, err = run(capsys, *words)
    assert (status, err) == (0, "")
    document = json.loads(out)
    VALIDATOR.validate(document)
    found = document["measurements"]
    assert {m["problem"]["kind"] for m in found} == {"conv2d", "operation", "gemm", "network"}
    assert {m["cache"] for m in found} == {"hot", "cold"}
    assert {m["status"] for m in found} == {"ok"}
    (network,) = document["networks"]
    layers = {layer["name"]: layer for layer in network["layers"]}
    assert len(layers) == 69
    assert layers["flatten"]["view"]
    assert {layer["chosen"] for layer in layers.values()} <= {
        "microkernel", "winograd", "packed", "vectors", "prepacked", None,
    }  # fmt: skip
    totals = network["reconciliation"]
    hot_s = sum(layer["hot_s"] or 0 for layer in layers.values())
    assert totals["hot_s"] == pytest.approx(hot_s)
    assert totals["chain_s"] == pytest.approx(
        totals["hot_s"] + totals["distance_s"] + totals["conversions_s"] + totals["joined_s"]
    )
    # Equal layers are measured once, and are in the sum as often as they occur.
    names = {m["problem"]["name"] for m in found}
    assert "resnet18:layer1.0.conv1" in names
    assert "resnet18:layer1.1.conv1" not in names
    assert layers["layer1.1.conv1"]["hot_s"] == layers["layer1.0.conv1"]["hot_s"]


@pytest.mark.skipif(facts().topology.usable_cpus < 2, reason="needs two CPUs")
@pytest.mark.parametrize("more", [[], ["--plan"]])
def test_several_numbers_of_threads(capsys, tmp_path, more):
    path, page = tmp_path / "out.json", tmp_path / "page.md"
    words = [*SMALL, *more, "-t", "1,2", "--json", path, "--markdown", page]
    status, out, _ = run(capsys, *words)
    assert status == 0
    document = json.loads(path.read_text())
    VALIDATOR.validate(document)
    (network,) = document["networks"]
    modes = network["concurrency"]["modes"]
    assert [(m["streams"], m["threads"]) for m in modes] == [(1, 1), (1, 2), (2, 1)]
    assert document["settings"]["threads"] == [1, 2]
    assert headings(out, "computed by")[1:] == ["latency", "inferences/s", "speed-up", "efficiency"]
    assert "| 2 streams of 1 thread" in page.read_text()
    (streams,) = [m for m in document["measurements"] if m["strategy"] == "streams"]
    assert streams["time_s"]["median"] == pytest.approx(modes[2]["latency_s"] / 2)


@pytest.mark.parametrize("more", [["--top", "3"], ["--fuse"], ["--plan"]])
def test_a_transformer(capsys, monkeypatch, more):
    small = Transformer(patch=16, width=48, blocks=3, heads=4, mlp=96)
    published = replace(vit.NETWORKS["vit-b16"], build=small.build)
    monkeypatch.setitem(vit.NETWORKS, "vit-b16", published)
    status, out, _ = run(capsys, "network", "vit-b16", "--image", "32", *more, *FAST)
    assert status == 0
    assert out.startswith("vit-b16 of 1x3x32x32 · ")
    kinds = re.findall(r"^(softmax|attention(?: qk| pv)?) +3 ", out, re.MULTILINE)
    parts = ["attention pv", "attention qk", "softmax"]
    assert sorted(kinds) == {"--top": parts, "--fuse": ["attention"], "--plan": []}[more[0]]
    if more[0] == "--plan":
        assert re.search(r"self_attention.qk +softmax, pv +vectors ", out)


@pytest.mark.parametrize(
    ("more", "title"),
    [
        (["--layout", "nchw"], "nchw · f32 · 1 thread · 11 layers"),
        (["--fuse"], "nhwc · f32 · 1 thread · fused · 7 layers"),
        (["--dtype", "f64"], "nhwc · f64 · 1 thread · 11 layers"),
        (["--top", "1"], "nhwc · f32 · 1 thread · the slowest of 11 layers"),
        (["-t", "1", "--seed", "7"], "nhwc · f32 · 1 thread · 11 layers"),
    ],
)
def test_flags(capsys, more, title):
    status, out, _ = run(capsys, *SMALL, *more)
    assert (status, out.splitlines()[0]) == (0, f"lenet5 of 1x1x16x16 · {title} (1 view not timed)")


def test_a_minibatch(capsys):
    status, out, _ = run(capsys, *SMALL, "--mb", 2)
    assert status == 0
    assert out.startswith("lenet5 of 2x1x16x16 · ")


def test_strategies_by_name(capsys):
    status, out, _ = run(capsys, *SMALL, "-s", "direct,naive", "--json", "-")
    assert status == 0
    (network,) = json.loads(out)["networks"]
    by_kind = {layer["kind"]: layer["chosen"] for layer in network["layers"]}
    assert (by_kind["conv"], by_kind["linear"]) == ("direct+passes", "naive+passes")
    assert by_kind["pool"] == "vectors"  # neither of the two is for what is no product


def test_csv_and_markdown_files(capsys, tmp_path):
    table, page = tmp_path / "table.csv", tmp_path / "page.md"
    status, out, _ = run(capsys, *SMALL, "--csv", table, "--markdown", page, "--top", 2)
    assert status == 0
    assert out.startswith("lenet5")
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert [row["name"] for row in rows][:3] == ["conv1", "relu1", "pool1"]
    assert float(rows[0]["hot_s"]) > 0
    assert page.read_text().startswith("### lenet5 of 1x1x16x16 · nhwc · f32 · 1 thread · the 2 s")


def test_colour_only_where_it_is_wanted(capsys, monkeypatch):
    _, out, _ = run(capsys, *SMALL, "--color", "always", "--top", 1)
    assert "\x1b[" in out
    monkeypatch.setenv("NO_COLOR", "1")
    _, out, _ = run(capsys, *SMALL, "--top", 1)
    assert "\x1b[" not in out


# The plan


def test_a_plan_in_a_valid_document(capsys):
    words = ["network", "mobilenet-v2", "--image", "32", "--plan", "--json", "-", *FAST]
    status, out, err = run(capsys, *words)
    assert (status, err) == (0, "")
    document = json.loads(out)
    VALIDATOR.validate(document)
    assert document["settings"]["strategies"] is None
    (plan,) = document["networks"]
    names = [name for chain in plan["chains"] for name in (chain["name"], *chain["also"])]
    assert sorted(names) == ["all nchw", "all nhwc", "as written", "greedy", "optimal"]
    layers = {layer["name"]: layer for layer in plan["layers"]}
    assert len(layers) == 55
    assert layers["features.2.conv.2"]["blocking"]
    assert sum(layer["predicted_s"] for layer in layers.values()) > 0
    optimal = next(c for c in plan["chains"] if "optimal" in (c["name"], *c["also"]))
    assert optimal["ratio"] is None
    others = [c for c in plan["chains"] if c is not optimal]
    assert all(c["ratio"] > 0 for c in others)
    predicted = [c["predicted_s"] for c in plan["chains"] if c["predicted_s"] is not None]
    assert min(predicted) == optimal["predicted_s"]


@pytest.mark.parametrize("more", [[], ["--fuse"], ["--layout", "nchw", "--top", "2"]])
def test_a_plan(capsys, more, tmp_path):
    table, page = tmp_path / "table.csv", tmp_path / "page.md"
    path = tmp_path / "timeline.json"
    words = [*SMALL, "--plan", *more, "--csv", table, "--markdown", page, "--trace", path]
    status, out, err = run(capsys, *words)
    assert (status, err) == (0, "")
    assert out.startswith("lenet5 of 1x1x16x16 · f32 · 1 thread · ")
    assert headings(out, "layer")[:4] == ["layer", "with", "plan", "time"]
    assert headings(out, "chain")[:3] == ["chain", "engine", "conversions"]
    assert re.search(r"^optimal", out, re.MULTILINE)
    assert re.search(r"^as written: nothing folded or fused", out, re.MULTILINE)
    answer = out.rpartition("\n\n")[2]
    assert re.match(r"The (planned chain takes|prediction was wrong)|No conclusion: ", answer)
    assert re.search(r"^next: convprof network lenet5 --image 16 ", answer, re.MULTILINE)
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert [row["name"] for row in rows][:2] == ["conv1", "pool1"]
    assert page.read_text().startswith("### lenet5 of 1x1x16x16 · f32 · 1 thread · ")
    assert any(name.startswith("as written ") for name in timeline_of(path))


def test_a_plan_with_strategies_by_name(capsys):
    status, out, _ = run(capsys, *SMALL, "--plan", "-s", "direct,naive", "--json", "-")
    assert status == 0
    document = json.loads(out)
    assert document["settings"]["strategies"] == ["direct", "naive"]
    (plan,) = document["networks"]
    strategies = {layer["strategy"] for layer in plan["layers"]}
    assert strategies == {"direct+passes", "naive+passes", "vectors"}


# What goes wrong


def spoil(monkeypatch):
    """Let every convolution in direct loops go wrong: it leaves out what follows its sums."""
    plan = UnfusedEpilogue.plan

    def spoilt(self, problem, setting):
        planned = plan(self, problem, setting)
        if self.inner.name == "direct":
            bare = plan(self, problem.with_epilogue(NO_EPILOGUE), setting)
            planned = replace(planned, steps=bare.steps)
        return planned

    monkeypatch.setattr(UnfusedEpilogue, "plan", spoilt)


class Interrupting(RooflineSession):
    """A session that is interrupted after a number of events."""

    after = 0

    def events(self):
        yield from itertools.islice(super().events(), self.after)
        raise KeyboardInterrupt


def interrupt(monkeypatch, module, after):
    made = type("Interrupted", (Interrupting,), {"after": after})
    monkeypatch.setattr(module, "RooflineSession", made)


@pytest.mark.parametrize("after", [0, 5, 30, 80])
def test_ctrl_c_keeps_what_was_measured(capsys, monkeypatch, after):
    from convprof.studies.network import study

    interrupt(monkeypatch, study, after)
    status, out, err = run(capsys, *SMALL)
    assert status == 130
    assert "the network as a whole" not in out
    measured = "of 11 layers" in out or "11 layers" in out
    assert ("what was measured until then is above" in err) == measured
    assert measured == (after >= 30)


@pytest.mark.parametrize(("session", "after"), [(1, 0), (1, 20), (2, 0), (2, 8)])
def test_ctrl_c_while_planning(capsys, monkeypatch, session, after):
    made = []

    def sessions(*given):
        kind = type("One", (Interrupting,), {"after": after})
        # The first one belongs to the plan that shows whether a plan can be made.
        made.append((kind if len(made) == session else RooflineSession)(*given))
        return made[-1]

    monkeypatch.setattr(plan_module, "RooflineSession", sessions)
    status, out, err = run(capsys, *SMALL, "--plan")
    assert status == 130
    assert "interrupted" in err
    assert ("no plan: not every layer has been timed" in out) == (session == 1)
    assert ("the whole network" in out) == (session == 2 and after > 0)


CASES = [
    ("network lenet5 -s winograd", "convprof: layer conv1 (mb1ic1ih32oc6"),
    ("network lenet5 -s direct -t 1 --layout all", "convprof: --layout all: use nchw or nhwc\n"),
    (
        "network lenet5 -s foo",
        "convprof: unknown --strategy of conv2d or gemm 'foo': known: auto, direct, fft",
    ),
    ("network lenet5 --plan -s foo", "convprof: unknown --strategy of conv2d or gemm 'foo'"),
    ("network lenet5 -s ,", "convprof: --strategy ',': name at least one"),
    (
        "network lenet5 --with nosuch",
        "convprof: --with nosuch: no such library; use torch, onnxruntime, openvino, torch-comp",
    ),
    ("network lenet5 --plan --with nolib", "convprof: --with nolib: no such library; use torch, "),
    (
        "network lenet5 --dtype f64 --with onnxruntime",
        "convprof: --with onnxruntime: onnxruntime computes f32 and int8 here, not f64\n",
    ),
    (
        "network lenet5 --plan --dtype f64 --with openvino",
        "convprof: --with openvino: openvino computes f32, bf16 and int8 here, not f64\n",
    ),
    ("network lenet5 --plan --pass forward", "convprof: --plan is for running the whole network"),
    ("network lenet5 --plan --summary", "convprof: --summary measures nothing: leave out --plan"),
    ("network --list --plan", "convprof: --list shows every network as published: leave out --pl"),
    (
        "network lenet5 --top 0",
        "convprof network: Invalid value for '--top': 0 is not in the range",
    ),
    (
        "network lenet5 --pass forward --threads 1,2",
        "convprof: --threads 1,2: use 1 or 2, one at a time",
    ),
    ("network lenet5 --plan --threads 0", "convprof: --threads 0: "),
    ("network lenet5 --layout foo", "convprof: --layout foo: use nchw or nhwc\n"),
    ("network lenet5 --dtype int8", "convprof: --dtype int8: add --fuse"),
    (
        "network lenet5 --dtype s8",
        "convprof: --dtype s8: use f32, f64, bf16, f16 or int8\n",
    ),
    (
        "network lenet5 --budget 0",
        "convprof network: Invalid value for '--budget': 0.0 is not in the range",
    ),
    ("network vit-b16 --image 225", "convprof: vit-b16: --image 225: must be a multiple of 16"),
    ("network resnet5", "convprof: unknown network 'resnet5': did you mean"),
    ("network lenet5 --mb 100000000", "convprof: mb100000000ic1ih32oc6"),
    ("network --plan", "convprof: name a network, e.g. resnet50"),
]


@pytest.mark.parametrize(("words", "message"), CASES, ids=[words for words, _ in CASES])
def test_one_clear_line(words, message, capsys):
    status, out, err = run(capsys, *words.split())
    assert (status, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1


@pytest.mark.parametrize("more", [[], ["--plan"]])
def test_a_library_that_is_not_installed_is_refused_before_all_else(capsys, monkeypatch, more):
    monkeypatch.setattr(Session, "events", None)  # nothing is measured
    monkeypatch.setattr(TorchNetwork, "packages", ("no_such_torch",))
    status, out, err = run(capsys, *SMALL, *more, "--with", "torch")
    assert (status, out) == (2, "")
    assert err.startswith("convprof: --with torch: no_such_torch is not installed: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("more", [[], ["--plan"], ["--pass", "forward"]])
def test_networks_that_take_hours_are_refused(capsys, monkeypatch, more):
    monkeypatch.setattr(Session, "events", None)  # nothing is measured
    monkeypatch.setattr(preflight, "MOST_MACS", 1000)
    status, out, err = run(capsys, *SMALL, *more)
    assert (status, out) == (2, "")
    assert re.search(r"FLOP; at .*FLOP/s that is \d+ seconds a call; use a smaller problem\n$", err)
    assert err.count("\n") == 1


def test_help_says_what_a_row_of_csv_is(capsys):
    _, out, _ = run(capsys, "network", "--help")
    text = " ".join(out.split())
    assert "Write one row per layer; with --pass" in text
    assert "such as onnxruntime; convprof strategies lists them" in text


@pytest.mark.parametrize("more", [[], ["--plan"]])
def test_a_wrong_result_is_exit_code_3(capsys, monkeypatch, more):
    spoil(monkeypatch)
    status, out, _ = run(capsys, *SMALL, "-s", "direct,naive", *more)
    assert status == 3
    assert "max_rel_error" in out
    assert "wrong: " in out
