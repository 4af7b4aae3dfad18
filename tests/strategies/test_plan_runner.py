"""A plan whose tensors and buffers have types of their own."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from convprof.codegen import first_touch, nodes
from convprof.codegen.threads import Work
from convprof.dtypes import DTYPES, WORD, types
from convprof.errors import ProblemError, TooLargeError
from convprof.problems import Conv2d, Gemm, Operation, ops
from convprof.problems.epilogue import Epilogue
from convprof.strategies import memory, plan_runner
from convprof.strategies.base import Setting
from convprof.strategies.plan import WEIGHTS, Buffer, Call, Native, Packed, Plan, Stage, X, Y
from convprof.strategies.plan_runner import Group, PlanRunner, launches

G = Gemm(m=5, n=6, k=7, epilogue=Epilogue(bias=True))
SETTING = Setting(dtype="u8:s8:s32")
SUMS, PANELS, CLAIMS = "sums", "panels", "claims"


def multiply(arrays):
    a, panels = arrays[X].astype("i4"), arrays[PANELS].astype("i4")
    arrays[SUMS][...] = a @ panels.T + arrays["bias"]
    arrays[Y][...] = arrays[SUMS] // 2


def plan():
    of = types("u8:s8:s32")
    return Plan(
        workspaces={SUMS: Buffer((5, 6), of.accumulator), CLAIMS: Buffer((3,), WORD)},
        lendable_workspaces=frozenset({SUMS}),
        packed={PANELS: Packed(Buffer((6, 7), of.weights), lambda b: b.T)},
        steps=[Call("gemm", multiply)],
    )


def operands():
    random = np.random.default_rng(1)
    a, b = random.integers(0, 255, (5, 7)), random.integers(-128, 127, (7, 6))
    return a, b, random.integers(-99, 99, 6)


def test_every_buffer_has_its_own_type_and_its_own_bytes():
    runner = PlanRunner("made", G, SETTING, plan())
    a, b, bias = operands()
    runner.bind(a, b, bias)
    runner.run()
    np.testing.assert_array_equal(runner.output(), (a @ b + bias) // 2)
    kinds = {key: str(array.dtype) for key, array in runner._arrays.items()}
    assert kinds == {
        X: "uint8",
        WEIGHTS: "int8",
        "bias": "int32",
        Y: "int32",
        SUMS: "int32",
        CLAIMS: "int64",
        PANELS: "int8",
    }
    assert runner.workspace_bytes == 5 * 6 * 4 + 3 * 8 + 6 * 7
    assert runner.scratch() == {SUMS: 5 * 6 * 4}


def test_bytes_moved_are_counted_by_buffer():
    runner = PlanRunner("made", G, SETTING, plan())
    least = 5 * 7 + 7 * 6 + 6 * 4 + 5 * 6 * 4
    assert G.bytes_min(SETTING.types) == least
    assert runner.bytes_moved() == least + 2 * (5 * 6 * 4 + 3 * 8)


def test_memory_is_required_by_the_bytes_of_each_buffer(monkeypatch):
    needed = 5 * 7 + 7 * 6 + 6 * 4 + 5 * 6 * 4 + 5 * 6 * 4 + 3 * 8 + 6 * 7
    monkeypatch.setattr(memory, "available_bytes", lambda: needed)
    PlanRunner("made", G, SETTING, plan())
    monkeypatch.setattr(memory, "available_bytes", lambda: needed - 1)
    with pytest.raises(TooLargeError):
        PlanRunner("made", G, SETTING, plan())


def test_memory_is_lent_as_bytes():
    runner = PlanRunner("made", G, SETTING, plan())
    lent = {Y: np.zeros(999, np.uint8), SUMS: np.zeros(999, np.uint8)}
    runner.lend(lent)
    a, b, bias = operands()
    runner.bind(a, b, bias)
    runner.run()
    assert np.shares_memory(runner.output(), lent[Y])
    np.testing.assert_array_equal(lent[SUMS][: 5 * 6 * 4].view("i4").reshape(5, 6), a @ b + bias)


def copy(lo, hi, buffers, dims):  # noqa: ARG001  # the signature of every loop nest
    for task in range(lo, hi):
        buffers[1][task] = buffers[0][task]


def test_packed_weights_are_near_their_readers_on_several_nodes(monkeypatch):
    touched = []
    monkeypatch.setattr(nodes, "spread", lambda threads: threads)
    monkeypatch.setattr(first_touch, "touch", lambda *args: touched.append(args))
    for threads in (1, 2):
        runner = PlanRunner("test", G, dataclasses.replace(SETTING, threads=threads), plan())
        runner.bind(*operands())
    (packed,) = (runner._arrays[PANELS],)
    assert touched == [(packed.ctypes.data, packed.nbytes, 2)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_loop_nest_has_the_types_of_its_buffers(dtype):
    plan = Plan(steps=[Stage("copy", copy, 35, (X, "copied"), (0,))])
    plan.workspaces["copied"] = Buffer((5, 7), DTYPES[dtype])
    runner = PlanRunner("made", G, SETTING, plan)
    a, *rest = operands()
    a //= 2  # so that s8 has all of the numbers, and bf16 too
    runner.bind(a, *rest)
    runner.run()
    np.testing.assert_array_equal(runner._arrays["copied"].astype("f8"), a)


@pytest.mark.parametrize(
    ("problem", "first", "names"),
    [
        (G, (X, WEIGHTS), ["x", "weights", "bias"]),
        (Conv2d(c=1, k=1, h=3, w=3, r=1, s=1), (X, WEIGHTS), ["x", "weights"]),
        (Operation(op=ops.Add(), inputs=((2, 3), (2, 3))), (X, "x1"), ["x", "x1"]),
        (Operation(op=ops.Softmax(), inputs=((2, 3),)), (X,), ["x"]),
    ],
)
def test_operands_are_the_problems(problem, first, names):
    specs = problem.operands("nchw", types("f32"))
    named = Plan(operands=first).named(specs)
    assert list(named) == names
    assert tuple(named.values()) == specs


def test_the_shape_of_an_operand_is_the_problems():
    runner = PlanRunner("made", G, SETTING, plan())
    a, b, bias = operands()
    with pytest.raises(ProblemError, match=r"weights has shape \(6, 7\).* needs \(7, 6\)"):
        runner.bind(a, b.T, bias)
    with pytest.raises(ProblemError, match="2 operands; this problem needs x, weights, bias"):
        runner.bind(a, b)


@pytest.mark.parametrize(
    ("tasks", "fixed", "edges"),
    [
        (12, True, [0, 4, 12]),  # not 6: two threads would have two of its tasks, two one
        (13, True, [0, 6, 13]),
        (12, False, [0, 6, 12]),
        (4, True, [0, 4]),
        (3, True, [0, 3]),
        (0, True, []),
    ],
)
def test_a_long_stage_is_cut_between_rounds_of_all_threads(monkeypatch, tasks, fixed, edges):
    monkeypatch.setattr(plan_runner, "UNINTERRUPTED_MACS", G.macs / 2)
    stage = Stage("a", Native(64, None), tasks, (X,), (), static_schedule=fixed)
    setting = dataclasses.replace(SETTING, threads=4)
    works = PlanRunner("test", G, setting, Plan(steps=[stage])).works()
    assert [(work.lo, work.hi) for work in works] == list(itertools.pairwise(edges))


@pytest.mark.parametrize(
    ("macs", "rows"),
    [
        ([1, 1, 1, 1], [2, 2]),
        ([0, 2, 0, 0, 1, 0, 1, 2], [4, 3, 1]),  # what has no products is no launch of its own
        ([5, 1, 5], [1, 1, 1]),  # more than allowed: alone
        ([0, 0], [2]),
        ([], []),
    ],
)
def test_a_launch_has_as_much_work_as_ctrl_c_allows(monkeypatch, macs, rows):
    monkeypatch.setattr(plan_runner, "UNINTERRUPTED_MACS", 2)
    works = [Work(64, 0, number, 0, 0) for number in range(len(macs))]
    found = list(launches(Group([row], each) for row, each in zip(works, macs, strict=True)))
    assert [len(each) for each in found] == rows
    assert list(itertools.chain(*found)) == works


def test_the_stages_of_a_long_problem_share_launches(monkeypatch):
    started = []
    launch = PlanRunner._launch
    monkeypatch.setattr(
        PlanRunner, "_launch", lambda self, rows: started.append(rows) or launch(self, rows)
    )
    monkeypatch.setattr(plan_runner, "UNINTERRUPTED_MACS", G.macs / 2)
    parts = [Stage("a", Native(64, None), 4, (X,), (), work_fraction=0.1) for _ in range(20)]
    PlanRunner("made", G, SETTING, Plan(steps=[*parts])).bind(*operands())
    assert [len(rows) for rows in started] == [5, 5, 5, 5]  # by 0.1 of the products each
