"""What a process keeps of its contestants, tested in this process."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from misbehaving import Misbehaving

from convprof.measure.contestant import Contestant
from convprof.measure.isolated.messages import contestant_fields
from convprof.measure.isolated.worker import Worker
from convprof.problems import Conv2d
from convprof.strategies.base import Setting

PROBLEM = Conv2d(n=1, c=2, h=3, w=3, k=2, r=1, s=1)


@pytest.fixture
def worker():
    return Worker(lambda _kind, name: Misbehaving(name))


def start(worker, number, problem=PROBLEM, name="honest"):
    contestant = Contestant(Misbehaving(name), problem, Setting())
    fields = {**contestant_fields(contestant), "seed": 3, "renewed": []}
    return worker.answer({"do": "start", "bench": number, **fields})


def output(worker, number):
    _, data = worker.answer({"do": "output", "bench": number})
    return np.frombuffer(data, np.float32)


def test_contestants_of_a_problem_share_its_operands(worker):
    for number in (0, 1):
        start(worker, number)
    first, second = (worker._benches[number]._prepared for number in (0, 1))
    assert first is not second
    assert len(worker._drawn) == 1
    np.testing.assert_array_equal(output(worker, 0), output(worker, 1))
    assert np.any(output(worker, 0))


def test_nothing_is_left_of_a_finished_problem(worker):
    for number in (0, 1):
        start(worker, number)
    left = [weakref.ref(worker._benches[number]._prepared) for number in (0, 1)]
    gc.disable()  # the worker looks for circles itself
    try:
        left[0]().circle = left[0]()
        for number in (0, 1, 1):
            assert worker.answer({"do": "drop", "bench": number}) == ({}, b"")
        assert [each() for each in left] == [None, None]
    finally:
        gc.enable()
    assert worker._drawn == {}


def test_a_contestant_that_fails_to_start_can_be_dropped(worker):
    with pytest.raises(ValueError, match="first line"):
        start(worker, 7, name="raises-0")
    assert worker.answer({"do": "drop", "bench": 7}) == ({}, b"")
