"""``convprof.measure``: the same records as ``run --json`` writes."""

import json
from pathlib import Path

import pytest

import convprof
from convprof import errors
from convprof.results import plain

FAST = {"budget_s": 0.002, "rounds": 2}


def test_records_of_a_problem_given_as_text():
    found = convprof.measure("24x16:16x8", ["naive", "tiled"], **FAST)
    assert [m.strategy for m in found] == ["naive", "tiled"]
    assert {m.status for m in found} == {"ok"}
    assert all(m.time_s.median > 0 and m.peak_fraction > 0 for m in found)


def test_the_same_fields_as_json():
    convolution = convprof.Conv2d(n=1, c=4, h=6, w=6, k=4, r=3, s=3)
    found = convprof.measure(convolution, ["direct", "im2col"], ["nhwc"], **FAST)
    assert [(m.strategy, m.layout) for m in found] == [("direct", "nhwc"), ("im2col", "nhwc")]
    record = json.loads(json.dumps(plain(found[0])))
    schema = json.loads((Path(__file__).parents[1] / "docs" / "result-schema.json").read_text())
    assert set(record) == set(schema["$defs"]["measurement"]["properties"])


def test_a_refusal_is_a_record():
    pointwise = convprof.Conv2d(n=1, c=4, h=6, w=6, k=4, r=1, s=1)
    (refused,) = convprof.measure(pointwise, ["winograd"], ["nhwc"], **FAST)
    assert refused.status == "refused"
    assert refused.reason.startswith("winograd")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"strategies": ["nave"]}, "nave"),
        ({"layouts": ["nhcw"]}, "nhcw"),
        ({"threads": 100_000}, "threads|core"),
        ({"dtype": "f31"}, "f31"),
        ({"cache": "warm"}, "warm"),
        ({"tune": "slow"}, "slow"),
        ({"threads": "all"}, "threads=all: must be a whole number"),
        ({"threads": [1, 1.5]}, "threads=1.5: must be a whole number"),
        ({"budget_s": -1}, "budget_s=-1: use seconds, above 0 and up to 3600"),
        ({"budget_s": float("nan")}, "budget_s=nan"),
        ({"rounds": 0}, "rounds=0: must be at least 1"),
        ({"seed": -1}, "seed=-1: must be at least 0"),
    ],
)
def test_bad_input(arguments, words):
    with pytest.raises(errors.InputError, match=words):
        convprof.measure("4x4:4x4", **arguments)


def test_one_name_is_a_text():
    (record,) = convprof.measure("mb1ic4ih6oc4kh3", "tiled", "nhwc", **FAST)
    assert (record.strategy, record.layout) == ("tiled", "nhwc")


def test_a_text_that_names_several_problems():
    with pytest.raises(errors.InputError, match="names 24 problems"):
        convprof.measure("resnet50")
