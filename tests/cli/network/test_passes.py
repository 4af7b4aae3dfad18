"""`convprof network NAME --pass` as a user runs it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import jsonschema
import pytest

from convprof import cli
from convprof.measure import session as session_module
from convprof.strategies.conv.direct import Direct
from convprof.studies.network.training import LayerPasses

VALIDATOR = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[3] / "docs" / "result-schema.json").read_text())
)
SMALL = ["network", "lenet5", "--image", "16", "--budget", "0.001", "-t", "1"]
LOOPS = ["-s", "direct,naive"]
PASSES = ["forward", "backward-data", "backward-weights"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setattr(session_module, "settle", lambda: None)


def run(capsys, *words):
    status = cli._status([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


def test_a_training_step(capsys):
    status, out, err = run(capsys, *SMALL, "--pass", "training", "-q", "--tune", "off")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "lenet5 · input 1x1x16x16 · training · nhwc · 1 thread · f32"
    assert [line.split()[0] for line in lines[3:8]] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    begins = [f"{which}: " for which in (*PASSES, "training step")]
    assert [sum(line.startswith(begin) for line in lines) for begin in begins] == [1] * 4
    assert (
        "no gradient of the data is needed in conv1: no layer before has learned weights" in lines
    )
    assert "221 kFLOP" in next(line for line in lines if line.startswith("training step: "))


@pytest.mark.parametrize("which", PASSES)
def test_one_pass_in_a_valid_document(capsys, which):
    words = [*SMALL, *LOOPS, "--pass", which, "--json", "-", "-q", "--layout", "nchw"]
    status, out, err = run(capsys, *words)
    assert (status, err) == (0, "")
    document = json.loads(out)
    VALIDATOR.validate(document)
    found = document["measurements"]
    names = ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert [m["problem"]["name"] for m in found] == [
        f"lenet5:{name}" for name in names if (name, which) != ("conv1", "backward-data")
    ]
    assert {m["problem"].get("pass", "forward") for m in found} == {which}
    assert {m["layout"] for m in found} == {"nchw", None}
    (training,) = document["networks"]
    assert (training["kind"], training["pass"]) == ("training", which)
    (side,) = training["totals"]
    assert side["complete"]
    assert side["time_s"] == pytest.approx(sum(m["time_s"]["median"] for m in found))
    assert side["flops"]["direct"] == sum(m["flops"]["direct"] for m in found)


def test_layers_that_are_alike_are_measured_once_and_counted(capsys, tmp_path):
    table, page = tmp_path / "table.csv", tmp_path / "page.md"
    words = ["network", "vit-b16", "--image", "16", "--pass", "forward", "--tune", "off"]
    words += ["--budget", "0.001", "-t", 1, "--top", 2, "-q", "--csv", table, "--markdown", page]
    status, out, _ = run(capsys, *words)
    assert status == 0
    assert "the 2 slowest of 8 different layers; sums are over all" in out
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    counts = {row["problem.name"].partition(":")[2]: int(row["count"]) for row in rows}
    assert counts["conv_proj"] == 1
    assert counts["encoder.layers.0.self_attention.qk"] == 12
    assert sum(counts.values()) == 74
    text = page.read_text()
    assert text.startswith("### vit-b16 · input 1x3x16x16 · forward · nhwc · 1 thread · f32\n")
    assert "| all | 74 |" in text


def test_a_wrong_result_makes_the_total_partial(capsys, monkeypatch):
    prepare = Direct.prepare

    def spoilt(self, problem, setting):
        prepared = prepare(self, problem, setting)
        output = prepared.output
        prepared.output = lambda: output() + 1
        return prepared

    monkeypatch.setattr(Direct, "prepare", spoilt)
    status, out, _ = run(capsys, *SMALL, *LOOPS, "--pass", "training", "-q")
    assert status == 3
    assert "training step (partial, 12 of 14 passes of layers): " in out
    assert "by kind, partial: not every pass has a result" in out
    assert "wrong: direct: max_rel_error" in out


def test_nobody_computes_it(capsys):
    status, out, _ = run(capsys, *SMALL, "-s", "winograd", "--pass", "training", "-q")
    assert status == 2
    assert "no total: no layer has a result" in out
    assert "refused: winograd: needs a filter of at most 4 times the stride; got 5x5" in out


def test_interrupted(capsys, monkeypatch):
    events = LayerPasses.events

    def interrupted(self):
        if self.problem.name == "lenet5:fc1":
            raise KeyboardInterrupt
        yield from events(self)

    monkeypatch.setattr(LayerPasses, "events", interrupted)
    status, out, err = run(capsys, *SMALL, *LOOPS, "--pass", "training")
    assert status == 130
    assert "training step (partial, 5 of 14 passes of layers): " in out
    assert "interrupted: what was measured until then is above" in err


CASES = [
    ("network --pass training", "convprof: name a network, e.g. resnet50 --summary"),
    ("network resnet5 --pass training", "convprof: unknown network 'resnet5': did you mean"),
    ("network lenet5 --pass backward", "convprof network: Invalid value for '--pass'"),
    (
        "network lenet5 --pass forward --top 0",
        "convprof network: Invalid value for '--top': 0 is not in the range",
    ),
    ("network lenet5 --pass forward --layout all", "convprof: --layout all: use nchw or nhwc\n"),
    ("network lenet5 --pass forward --layout chwn", "convprof: --layout chwn: use nchw or nhwc\n"),
    ("network lenet5 --pass forward -t 0", "convprof: --threads 0: "),
    ("network lenet5 --pass forward -s fast", "convprof: unknown --strategy of conv2d or gemm "),
    ("network lenet5 --pass forward -s ,", "convprof: --strategy ',': name at least one"),
    (
        "network lenet5 --pass forward --budget 0",
        "convprof network: Invalid value for '--budget': 0.0 is not in the range",
    ),
    (
        "network lenet5 --pass forward --seed -1",
        "convprof network: Invalid value for '--seed': -1 is not in the range",
    ),
    ("network lenet5 --pass forward --image 3", "convprof: lenet5: --image 3: must be at least 16"),
    (
        "network lenet5 --summary --pass forward",
        "convprof: --summary measures nothing: leave out",
    ),
    ("network lenet5 --pass forward --fuse", "convprof: --fuse is for running the whole network"),
    ("network lenet5 --pass training --plan", "convprof: --plan is for running the whole network"),
    ("network lenet5 --pass forward --with torch", "convprof: --with is for running the whole"),
    (
        "network lenet5 --pass forward --dtype int8",
        (
            "convprof: --dtype int8: --pass forward takes f32, f64, bf16 or f16; "
            "for int8 use --fuse without --pass\n"
        ),
    ),
    *(
        (
            f"network lenet5 --pass {which} --dtype {dtype}",
            (
                f"convprof: --dtype {dtype}: backward passes compute f32 and f64 only; "
                "use one of these types, or the forward pass\n"
            ),
        )
        for which, dtype in (
            ("training", "bf16"),
            ("training", "int8"),
            ("backward-data", "f16"),
            ("backward-weights", "bf16"),
        )
    ),
    ("network lenet5 --summary -t 1", "convprof: --summary measures nothing: leave out --threads"),
    ("network --list --pass forward", "convprof: --list shows every network as published: leave"),
    ("network vgg16 --mb 1000000 --pass training", "convprof: "),
]


@pytest.mark.parametrize(("words", "message"), CASES, ids=[words for words, _ in CASES])
def test_one_clear_line(words, message, capsys):
    status, out, err = run(capsys, *words.split())
    assert (status, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1
