"""The list of strategies, and who takes a problem, with strategies that are made up."""

from __future__ import annotations

import pytest

from convprof.problems import Conv2d
from convprof.strategies import registry
from convprof.strategies.base import Role, Strategy
from convprof.studies.answer import Answer
from convprof.studies.strategies import Absent, Entry, Listing, answer, listing, replies

CONV = Conv2d(c=4, h=9, w=9, k=4, r=3, s=3)


class Fake(Strategy):
    kind = "conv2d"

    def __init__(self, name, role=Role.OWN, package=None, refuses=()):
        self.name, self.role, self._package, self._refuses = name, role, package, refuses
        self.summary, self.parallel = f"what {name} does", role is not Role.COMPILER

    def missing_package(self):
        return self._package

    def why_not(self, problem, setting):
        if setting.layout in self._refuses:
            return f"{self.name} computes no {setting.layout}"
        return super().why_not(problem, setting)

    def prepare(self, problem, setting):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _made_up(monkeypatch):
    every = [
        Fake("maker-a", Role.COMPILER),
        Fake("maker-b", Role.COMPILER),
        Fake("maker-c", Role.COMPILER),
        Fake("lib", Role.LIBRARY, refuses=("nhwc",)),
        Fake("gone", Role.LIBRARY, package="gone.package"),
        Fake("own"),
        Fake("auto", Role.CHOOSER),
    ]
    monkeypatch.setattr(registry, "_all", lambda: tuple(every))


def test_own_ones_first_schedules_in_a_line_and_no_line_for_what_is_not_installed():
    expected = (
        Entry("own", "what own does"),
        Entry("auto", "what auto does"),
        Entry("lib", "what lib does"),
        Entry("maker-*", "schedules a, b, c"),
    )
    assert listing("conv2d") == Listing("conv2d", expected, (Absent("gone.package", ""),), 0, 7)


def test_a_line_per_strategy_and_reason():
    found = replies(CONV, ("nchw", "nhwc"), (1, 2, 4), "f32")
    assert [(e.name, e.takes, e.text) for e in found.entries if e.name in {"lib", "maker-*"}] == [
        ("lib", True, "what lib does"),
        ("lib", False, "computes no nhwc"),
        ("maker-*", True, "schedules a, b, c"),
        ("maker-*", False, "schedules a, b, c: runs on one thread, not 2"),
        ("maker-*", False, "schedules a, b, c: runs on one thread, not 4"),
    ]
    assert (found.takers, found.strategies) == (6, 7)


def test_two_schedules_are_not_folded(monkeypatch):
    pair = (Fake("maker-a", Role.COMPILER), Fake("maker-b", Role.COMPILER))
    monkeypatch.setattr(registry, "_all", lambda: pair)
    assert [entry.name for entry in listing("conv2d").entries] == ["maker-a", "maker-b"]


def test_answers():
    everything = [listing("conv2d"), listing("gemm")]
    command = "convprof strategies resnet50:layer1.0.conv2"
    assert answer(everything, ()) == Answer(("7 strategies for 2 kinds of problem.",), command)
    both = replies(CONV, ("nchw",), (), "f32")
    none = replies(CONV, ("nchw",), (), "s32")
    assert answer([both], [CONV]) == Answer(
        ("6 of 7 strategies take the problem.",), f"convprof run {CONV.descriptor}"
    )
    (sentence,) = answer([both, none], [CONV, CONV]).sentences
    assert (
        sentence
        == f"0 of 7 strategies take the problem of {CONV.descriptor}, the least of all problems."
    )
