from __future__ import annotations

import dataclasses
import json

import pytest

from convprof.measure.report import describe
from convprof.problems.base import FORWARD
from convprof.problems.gradients import BACKWARD_DATA, BACKWARD_WEIGHTS, TRAINING
from convprof.problems.graph import Builder, Network
from convprof.problems.ops import Activation, Convolution, Flatten, Linear
from convprof.results import Flops, Measurement, Time
from convprof.studies.network.training import plan
from convprof.studies.network.training_totals import by_kind, results, to_json, total

ALL = (FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS)


def small():
    net = Builder()
    for index in range(3):
        net.add(f"conv{index}", Convolution.square(4, 3))
        net.add(f"relu{index}", Activation("relu"))
    net.add("flatten", Flatten())
    net.add("fc", Linear(10))
    return Network("net", (1, 4, 8, 8), tuple(net.nodes))


def measurement(problem, seconds, strategy="auto", status="ok", prepare_s=0.0):
    time = Time(seconds, 0.0, None, None, seconds, 3, 1) if status == "ok" else None
    return Measurement(
        problem=describe(problem),
        strategy=strategy,
        layout=None,
        dtype="f32",
        threads=1,
        cache="hot",
        status=status,
        reason=None if status == "ok" else "because",
        time_s=time,
        flops=Flops(problem.flops, problem.flops // 2),
        prepare_s=prepare_s,
    )


PLAN = plan(small(), TRAINING)
CONV, FC = PLAN.problems


def measured(conv=(1.0, 2.0, 4.0), fc=(0.1, 0.2, 0.3), strategy="auto", **more):
    return {
        problem: [
            measurement(each, seconds, strategy, **more)
            for each, seconds in zip(PLAN.passes(problem), times, strict=True)
        ]
        for problem, times in ((CONV, conv), (FC, fc))
    }


def both(one, other):
    return {problem: [*one[problem], *other[problem]] for problem in one}


def test_every_layer_counts_as_often_as_it_occurs():
    (side,) = results(PLAN, measured(prepare_s=0.5))
    assert [row.layer.names for row in side] == [("conv0",), ("conv1", "conv2"), ("fc",)]
    assert [row.step_s for row in side] == pytest.approx([5.0, 14.0, 0.6])
    assert [row.ratio for row in side] == pytest.approx([4.0, 6.0, 5.0])  # conv0: weights alone
    by_pass = [total(side, (which,)) for which in ALL]
    assert [found.seconds for found in by_pass] == pytest.approx([3.1, 4.2, 12.3])
    assert [found.counted for found in by_pass] == [4, 3, 4]
    flops = [3 * CONV.flops + FC.flops, 2 * CONV.flops + FC.flops, 3 * CONV.flops + FC.flops]
    assert [found.flops for found in by_pass] == [Flops(each, each // 2) for each in flops]
    whole = total(side, ALL)
    assert whole.seconds == pytest.approx(19.6)
    assert whole.flop_per_s == pytest.approx(sum(flops) / 19.6)
    assert whole.prepare_s == pytest.approx(0.5 * 11)
    assert (whole.counted, whole.missing) == (11, 0)


def test_the_fastest_of_several_strategies_counts_on_each_side():
    others = measured(conv=(2.0, 1.0, 5.0), strategy="microkernel")[CONV]
    ours = both(measured(), {CONV: others, FC: []})
    theirs = measured(conv=(9.0, 9.0, 9.0), strategy="torch")
    mine, other = results(PLAN, both(ours, theirs))
    assert [row.library for row in (mine[0], other[0])] == [False, True]
    strategies = {which: m.strategy for which, m in mine[1].found.items()}
    assert strategies == {
        FORWARD: "auto",
        BACKWARD_DATA: "microkernel",
        BACKWARD_WEIGHTS: "auto",
    }
    assert mine[1].seconds(BACKWARD_DATA) == 1.0
    assert other[1].seconds(BACKWARD_DATA) == 9.0


def test_what_has_no_result_makes_the_total_partial():
    found = measured()
    found[CONV][1] = measurement(PLAN.passes(CONV)[1], 0.0, status="wrong")
    (side,) = results(PLAN, found)
    data = total(side, (BACKWARD_DATA,))
    assert (data.counted, data.missing, data.seconds) == (1, 2, pytest.approx(0.2))
    assert [row.ratio is None for row in side] == [False, True, False]
    del found[FC]
    (side,) = results(PLAN, found)
    assert total(side, ALL).missing == 2 + 3
    assert total(side[2:], ALL).flop_per_s is None


def test_a_sum_is_in_doubt_if_much_of_it_is():
    found = measured()
    found[FC] = [dataclasses.replace(m, doubt="disturbed") for m in found[FC]]
    (side,) = results(PLAN, found)
    assert total(side, ALL).doubt is None  # 0.6 of 19.6 s
    assert total(side[2:], ALL).doubt == "disturbed"
    assert [row.ratio is None for row in side] == [False, False, True]
    (json_side,) = to_json(PLAN, [side])["totals"]
    assert json_side["doubt"] is None
    assert json_side["kinds"]["linear"]["doubt"] == "disturbed"
    found[CONV][2] = dataclasses.replace(found[CONV][2], doubt="stolen")
    (side,) = results(PLAN, found)
    assert total(side, (BACKWARD_WEIGHTS,)).doubt == "stolen"
    assert to_json(PLAN, [side])["totals"][0]["doubt"] == "stolen"


def test_a_side_without_any_result_is_no_side():
    refused = measured(strategy="torch", status="refused")
    assert len(results(PLAN, both(measured(), refused))) == 1
    assert results(PLAN, refused) == []


def test_the_slowest_kind_comes_first():
    (side,) = results(PLAN, measured(fc=(99.0, 99.0, 99.0)))
    assert list(by_kind(side)) == ["linear", "conv"]
    assert [len(those) for those in by_kind(side).values()] == [1, 2]


def test_the_comparison_holds_it_all():
    found = to_json(PLAN, results(PLAN, measured()))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["kind"], found["network"], found["pass"]) == ("training", "net", "training")
    assert found["input"] == [1, 4, 8, 8]
    assert found["left_out"] == ["conv0"]
    assert [layer["count"] for layer in found["layers"]] == [1, 2, 1]
    assert found["layers"][0]["problem"]["descriptor"].startswith("mb1ic4ih8oc4oh8kh3ph1")
    (side,) = found["totals"]
    assert (side["library"], side["complete"]) == (False, True)
    assert side["time_s"] == pytest.approx(19.6)
    assert side["flops"]["direct"] == 2 * side["flops"]["executed"] > 0
    assert list(side["passes"]) == list(ALL)
    assert side["passes"][BACKWARD_WEIGHTS]["time_s"] == pytest.approx(12.3)
    assert side["kinds"]["linear"]["time_s"] == pytest.approx(0.6)
    assert side["layers"][1][FORWARD] == {"strategy": "auto", "layout": None, "time_s": 1.0}
    assert BACKWARD_DATA not in side["layers"][0]


def test_a_partial_comparison_says_so():
    found = measured()
    del found[FC]
    (side,) = to_json(PLAN, results(PLAN, found))["totals"]
    assert (side["complete"], side["missing"], side["counted"]) == (False, 3, 8)
    assert side["kinds"]["linear"]["time_s"] is None
    assert side["layers"][2] == {}


def test_a_pass_is_in_doubt_where_a_strategy_in_doubt_may_be_faster():
    quicker = measured(conv=(0.5, 2.0, 9.0), strategy="microkernel")[CONV]
    stormy = [dataclasses.replace(m, doubt="a storm") for m in quicker]
    (side,) = results(PLAN, both(measured(conv=(1.0, 0.4, 2.0)), {CONV: stormy, FC: []}))
    found = side[1].found
    assert {m.strategy for m in found.values()} == {"auto"}
    assert [which for which in ALL if found[which].doubt] == [FORWARD]
    assert found[FORWARD].doubt == "a strategy that may be faster is in doubt"
