from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import jsonschema
import pytest

from convprof import results
from convprof.archive import Archive
from convprof.dtypes import DTYPES
from convprof.measure.report import describe
from convprof.networks.steps import steps
from convprof.problems import (
    Attention,
    BackwardData,
    BackwardWeights,
    Conv2d,
    Gemm,
    LayoutConversion,
    NetworkProblem,
    Operation,
)
from convprof.problems.graph import INPUT, Network, Node
from convprof.problems.layouts import LAYOUTS
from convprof.problems.ops import AdaptiveAverage, Linear, Softmax
from convprof.results import Cycles, Document, Flops, Measurement, Measurements, Time
from convprof.stats import Ratio
from convprof.strategies.networks.choice import LayerChoice
from convprof.studies.comparison import Comparison
from convprof.studies.network.layers import Layer
from convprof.studies.network.options import Options
from convprof.studies.network.planned import Planned, PlanResult, Standing
from convprof.studies.network.study import NetworkResult

DOCS = Path(__file__).parents[1] / "docs"
SCHEMA = json.loads((DOCS / "result-schema.json").read_text(encoding="utf-8"))
EXPLAINED = (DOCS / "result-format.md").read_text(encoding="utf-8")

CONV = Conv2d(n=1, c=8, h=6, w=5, k=4, r=3, s=2, pad=(1, 0, 1, 1), name="layer")
GEMM = Gemm(m=4, n=5, k=6, batch=2)
ATTENTION = Attention(heads=2, tokens=5, dim=3)
REORDER = LayoutConversion(n=1, c=8, h=6, w=5)
POOL = Operation(op=AdaptiveAverage(1, 1), inputs=((1, 8, 6, 5),), laid_out=True, name="pool")
SOFTMAX = Operation(op=Softmax(), inputs=((1, 2, 5, 5),))
WHOLE = NetworkProblem(Network("small", (1, 6), (Node("fc", Linear(3), (INPUT,)),)))

OK = Measurement(
    problem=describe(CONV),
    strategy="tiled",
    layout="nhwc",
    dtype="f32",
    threads=2,
    cache="hot",
    status="ok",
    time_s=Time(1e-3, 1e-5, 0.9e-3, 1.1e-3, 0.8e-3, 3, 4, (1.1e-3, 1e-3, 0.8e-3)),
    cycles=Cycles(3e6, 0.5, "calibrated", 3e9),
    flops=Flops(6_000_000, 3_000_000),
    flop_per_s=6e9,
    peak_fraction=0.04,
    bytes_min=4096,
    intensity=1464.8,
    bytes_moved=8192,
    bound="compute",
    phases={"pad": 1e-4, "multiply": 9e-4},
    workspace_bytes=0,
    prepare_s=0.0,
    compile_s=0.1,
    max_rel_error=1e-7,
)


def excluded(status, **changes):
    base = Measurement(
        describe(GEMM), "blas", None, "f64", 1, "cold", status, reason="blas says no"
    )
    return replace(base, **changes)


MEASUREMENTS = {
    "ok": OK,
    "ok gemm": replace(OK, problem=describe(GEMM), layout=None, phases=None, bound=None),
    "ok gradient of the input": replace(OK, problem=describe(BackwardData(CONV))),
    "ok gradient of the weights": replace(OK, problem=describe(BackwardWeights(CONV))),
    "ok gradient of a product": replace(
        OK, problem=describe(BackwardWeights(GEMM)), layout=None, phases=None
    ),
    "ok reorder": replace(
        OK,
        problem=describe(REORDER),
        cycles=Cycles(3e6, None, "pmu", 3e9),
        flops=Flops(0, 0),
        flop_per_s=None,
        peak_fraction=None,
        intensity=0.0,
    ),
    "too few samples": replace(OK, time_s=Time(1.0, 0.0, None, None, 1.0, 1, 1), cycles=None),
    "refused": excluded("refused"),
    "wrong": excluded("wrong", max_rel_error=0.5),
    "wrong, not finite": excluded("wrong", max_rel_error=float("nan")),
    "failed": excluded("failed"),
    "ok attention": replace(OK, problem=describe(ATTENTION), layout=None),
}
MEASUREMENTS |= {
    "ok pool": replace(OK, problem=describe(POOL), bound="memory"),
    "ok softmax": replace(OK, problem=describe(SOFTMAX), layout=None),
    "ok network": replace(OK, problem=describe(WHOLE), strategy="chain"),
}
AT = list(MEASUREMENTS).index

COMPARISON = {
    "kind": "layouts",
    "problem": describe(CONV),
    "a": {"strategy": "tiled", "layout": "nhwc", "threads": 1},
    "b": {"strategy": "tiled", "layout": "nchw", "threads": 1},
    "ratio": 0.8,
    "ci95": [0.7, 0.9],
    "rounds": 25,
    "verdict": "faster",
    "doubt": None,
    "break_even": 2,
    "conversions": {
        "input_s": {"nchw": 1e-6, "nhwc": 2e-6},
        "output_s": {"nchw": 1e-6, "nhwc": 2e-6},
    },
}
PEERS = {
    "kind": "peers",
    "problem": describe(GEMM),
    "threads": 2,
    "a": {"strategy": "threaded", "layout": None, "threads": 2},
    "b": {"strategy": "torch", "layout": None, "threads": 2},
    "ratio": 1.1,
    "ci95": [1.05, 1.2],
    "rounds": 25,
    "verdict": "slower",
    "doubt": None,
}
UNCERTAIN = {
    **COMPARISON,
    "ratio": 1.0,
    "ci95": None,
    "rounds": 3,
    "verdict": "undecided",
    "doubt": None,
    "break_even": None,
    "conversions": None,
    "something": "new",
}

RATIO = Ratio(1.4, 1.3, 1.5, 25)
(FC,) = steps(WHOLE.network)
CHAIN = replace(OK, problem=describe(WHOLE), strategy="chain", phases={"fc": 1e-3})
NETWORK = NetworkResult(
    "small", (1, 6), Options(), [Layer(FC, OK, OK, 1e-3, 0.5, "memory", "packed")], CHAIN,
    {"fc to nchw": 1e-5}, [Comparison(replace(CHAIN, strategy="torch"), CHAIN, RATIO)], [],
).to_json()  # fmt: skip
NOTHING_YET = NetworkResult(
    "small", (1, 6), Options(), [Layer(FC, None, None, None, None, None)], None, {}, [], []
).to_json()
PLAN = PlanResult(
    "small", (1, 6), Options(),
    [
        Planned(
            FC,
            LayerChoice("packed", "nhwc"),
            "packed",
            {"nc": 64},
            1e-3,
            {"nhwc": ("packed", 1e-3)},
        )
    ],
    ["fc to nchw"],
    [
        Standing("optimal", ("greedy",), False, 1e-3, 1, CHAIN, None),
        Standing("torch", (), True, None, None, CHAIN, RATIO),
    ], [],
).to_json()  # fmt: skip
NO_PLAN = PlanResult("small", (1, 6), Options(), [], [], [], []).to_json()


def document():
    whole = Document(
        tool_version="1.2.3",
        machine={"key": "0123456789ab", "brand": None, "something": "new"},
        state={"core_hz": None, "load_per_core": 0.1, "noise": []},
        ceilings={"peaks": [{"dtype": "f32", "threads": 1, "flop_per_s": 1e11, "ports": 2}]},
        settings={"argv": ["run"], "seed": 0, "budget_s": 0.2, "strategies": None},
        measurements=Measurements(MEASUREMENTS.values()),
        comparisons=Archive([COMPARISON, UNCERTAIN, PEERS]),
        networks=Archive([NETWORK, NOTHING_YET, PLAN, NO_PLAN]),
    )
    return json.loads(json.dumps(whole.to_json(), allow_nan=False))


VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def problems(instance, definition=None):
    validator = VALIDATOR
    if definition:
        validator = validator.evolve(
            schema={**SCHEMA["$defs"][definition], "$defs": SCHEMA["$defs"]}
        )
    return [error.message for error in validator.iter_errors(instance)]


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_a_document_with_everything():
    assert problems(document()) == []


def test_an_empty_document():
    bare = Document("1.2.3", {"key": "0123456789ab"}, {}, {}, {}, interrupted=True)
    assert problems(bare.to_json()) == []


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_each_measurement(name):
    assert problems(results.plain(MEASUREMENTS[name]), "measurement") == []


WRONG = {
    "another version": lambda d: d.update(schema_version=1),
    "no machine key": lambda d: d["machine"].pop("key"),
    "no kind": lambda d: d.pop("kind"),
    "another kind": lambda d: d.update(kind="colours"),
    "a network among the comparisons": lambda d: d["comparisons"].append(NETWORK),
    "an interval with one end": lambda d: d["comparisons"][0].update(ci95=[1.0]),
    "a field too many": lambda d: d.update(extra=1),
    "a field missing": lambda d: d.pop("interrupted"),
    "a text for a boolean": lambda d: d.update(interrupted="no"),
    "a measurement's field too many": lambda d: d["measurements"][0].update(extra=1),
    "a measurement's field missing": lambda d: d["measurements"][0].pop("bound"),
    "an unknown status": lambda d: d["measurements"][0].update(status="slow"),
    "an unknown source": lambda d: d["measurements"][0]["cycles"].update(source="guess"),
    "an unknown layout": lambda d: d["measurements"][0].update(layout="nchw16c"),
    "an unknown dtype": lambda d: d["measurements"][0].update(dtype="float32"),
    "no time although ok": lambda d: d["measurements"][0].update(time_s=None),
    "a reason although ok": lambda d: d["measurements"][0].update(reason="because"),
    "no reason although refused": lambda d: d["measurements"][AT("refused")].update(reason=None),
    "a doubt although refused": lambda d: d["measurements"][AT("refused")].update(doubt="why"),
    "a rate although wrong": lambda d: d["measurements"][AT("wrong")].update(flop_per_s=1.0),
    "a unit in a number": lambda d: d["measurements"][0]["time_s"].update(median="1 ms"),
    "a time below zero": lambda d: d["measurements"][0]["time_s"].update(median=-1.0),
    "no samples": lambda d: d["measurements"][0]["time_s"].update(samples=0),
    "not a number": lambda d: d["measurements"][0].update(intensity=float("nan")),
    "infinite": lambda d: d["measurements"][0].update(intensity=float("inf")),
    "a layout for a product": lambda d: d["measurements"][1].update(layout="nchw"),
    "no layout for a convolution": lambda d: d["measurements"][0].update(layout=None),
    "an unknown kind": lambda d: d["measurements"][0]["problem"].update(kind="pool"),
    "a dimension missing": lambda d: d["measurements"][0]["problem"].pop("groups"),
    "a dimension too many": lambda d: d["measurements"][1]["problem"].update(h=3),
    "three pads": lambda d: d["measurements"][0]["problem"].update(pad=[1, 1, 1]),
    "a comparison without a verdict": lambda d: d["comparisons"][0].pop("verdict"),
    "layouts without conversions": lambda d: d["comparisons"][0].pop("conversions"),
    "peers without threads": lambda d: d["comparisons"][2].pop("threads"),
    "an unknown comparison": lambda d: d["comparisons"][2].update(kind="colours"),
    "a network without layers": lambda d: d["networks"][0].update(layers=[]),
    "a layer without a name": lambda d: d["networks"][0]["layers"][0].pop("name"),
    "a chain in no time": lambda d: d["networks"][0]["reconciliation"].update(chain_s=0),
    "a plan without chains": lambda d: d["networks"][2].pop("chains"),
    "a plan in another layout": lambda d: d["networks"][2]["layers"][0].update(layout="chwn"),
    "an operation without inputs": lambda d: d["measurements"][AT("ok pool")]["problem"].update(
        inputs=[]
    ),
    "a network without a name": lambda d: d["measurements"][AT("ok network")]["problem"].update(
        name=None
    ),
    "an unknown verdict": lambda d: d["comparisons"][0].update(verdict="better"),
    "a ratio of nothing": lambda d: d["comparisons"][0].update(ratio=0),
    "a peak without threads": lambda d: d["ceilings"]["peaks"][0].pop("threads"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_rejected(name):
    wrong = copy.deepcopy(document())
    WRONG[name](wrong)
    assert problems(wrong)


def test_the_schema_has_the_fields_of_the_program():
    fields = SCHEMA["$defs"]["measurement"]["properties"]
    assert list(Measurement.__dataclass_fields__) == list(fields)
    assert list(get_args(results.Status)) == fields["status"]["enum"]
    single, mixed = SCHEMA["$defs"]["dtype"]["anyOf"]
    assert list(DTYPES) == single["enum"]
    each = "|".join(DTYPES)
    assert mixed["pattern"] == f"^({each})(:({each})){{2}}$"
    assert list(LAYOUTS) == SCHEMA["$defs"]["layout"]["enum"]
    assert SCHEMA["properties"]["schema_version"] == {"const": results.SCHEMA_VERSION}
    assert list(document()) == list(SCHEMA["$defs"]["result_document"]["properties"])
    for name, value in (("time", Time), ("cycles", Cycles), ("flops", Flops)):
        assert list(value.__dataclass_fields__) == list(SCHEMA["$defs"][name]["properties"])


@pytest.mark.parametrize("name", ["measurement", "time", "flops", "cycles", "comparison", "peak"])
def test_every_field_is_explained(name):
    fields = {
        *SCHEMA["$defs"]["result_document"]["properties"],
        *SCHEMA["$defs"][name]["properties"],
    }
    assert {field for field in fields if f"`{field}`" not in EXPLAINED} == set()


def test_the_example_is_valid():
    (example,) = re.findall(r"```json\n(.*?)```", EXPLAINED, re.DOTALL)
    assert problems(json.loads(example), "measurement") == []


def test_the_history_ends_with_this_version():
    versions = re.findall(r"^\| (\d+) \|", EXPLAINED, re.MULTILINE)
    assert str(results.SCHEMA_VERSION) == versions[-1]
