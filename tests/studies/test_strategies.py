"""The list of strategies, and who takes a problem, with strategies that are made up."""

from __future__ import annotations

import pytest

from convprof.problems import Attention, Conv2d, Gemm
from convprof.problems.epilogue import Epilogue
from convprof.problems.grouped_weights import GroupedWeights
from convprof.strategies import registry
from convprof.strategies.base import Role, Strategy
from convprof.studies.answer import Answer
from convprof.studies.next_command import run_of
from convprof.studies.strategies import Absent, Entry, Listing, answer, listing, replies

CONV = Conv2d(c=4, h=9, w=9, k=4, r=3, s=3)
PRODUCT = Gemm(m=4, n=4, k=4)


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
        Entry("maker-*", "3 schedules (a, b, c)"),
    )
    absent = (Absent("gone", "gone.package", ""),)
    assert listing("conv2d") == Listing("conv2d", expected, absent, 6)


def test_a_type_lists_the_strategies_that_compute_it():
    assert listing("conv2d", "f64") == listing("conv2d")
    assert listing("conv2d", "bf16") == Listing("conv2d", (), (), 0)
    sentence = answer([listing("conv2d", "f64")], (), "f64").sentences[0]
    expected = "6 strategies that compute f64 for 1 kind of problem; 1 more is not installed."
    assert sentence == expected


def test_int8_has_its_own_meaning_in_attention(monkeypatch):
    own = Fake("own")
    own.kind, own.dtypes = "attention", ("s8:s8:f32",)
    monkeypatch.setattr(registry, "_all", lambda: (own,))
    problem = Attention(heads=1, tokens=2, dim=4)
    for name, count in (("u8:s8:s32", 1), ("s8:s8:f32", 1), ("f32", 0)):
        assert listing("attention", name).strategies == count
        assert replies(problem, (), (), name).takers == count


def test_one_line_per_strategy_names_the_settings_that_it_refuses():
    reply = replies(CONV, ("nchw", "nhwc"), (1, 2, 4), "f32")
    assert [e for e in reply.entries if e.name in {"lib", "maker-*"}] == [
        Entry("lib", "what lib does", takes=True, but="not in nhwc: computes no nhwc"),
        Entry(
            "maker-*",
            "3 schedules (a, b, c)",
            takes=True,
            but="not on 2 threads: runs on one thread, not 2; "
            "not on 4 threads: runs on one thread, not 4",
        ),
    ]
    assert (reply.takers, reply.strategies) == (6, 6)


def test_a_refusal_in_every_setting_is_one_line():
    reply = replies(CONV, ("nhwc",), (2, 4), "f32")
    assert [e for e in reply.entries if not e.takes] == [
        Entry("lib", "computes no nhwc", takes=False),
        Entry(
            "maker-*",
            "3 schedules (a, b, c): runs on one thread, not 2; runs on one thread, not 4",
            takes=False,
        ),
    ]
    assert (reply.takers, reply.strategies) == (2, 6)


def test_the_title_and_the_next_command_say_what_the_descriptor_does_not():
    product = Gemm(m=4, n=4, k=64).with_grouped_weights(GroupedWeights("int4", 64))
    activated = Gemm(m=4, n=4, k=4).with_epilogue(Epilogue(bias=True, function="relu"))
    problems = [product, activated]
    titles = [replies(p, (), (), "f32").title for p in problems]
    assert titles == ["4x64:64x4 · int4 weights in groups of 64", "4x4:4x4 · with bias,relu"]
    assert [run_of(problem) for problem in problems] == [
        "convprof run 4x64:64x4 --weight-dtype int4 --group 64",
        "convprof run 4x4:4x4 --epilogue bias,relu",
    ]


def test_two_schedules_are_not_folded(monkeypatch):
    pair = (Fake("maker-a", Role.COMPILER), Fake("maker-b", Role.COMPILER))
    monkeypatch.setattr(registry, "_all", lambda: pair)
    assert [entry.name for entry in listing("conv2d").entries] == ["maker-a", "maker-b"]


def test_answers():
    everything = [listing("conv2d"), listing("gemm")]
    command = "convprof strategies resnet50:layer1.0.conv2"
    assert answer(everything, ()) == Answer(
        ("6 strategies for 2 kinds of problem; 1 more is not installed.",), command
    )
    both = replies(CONV, ("nchw",), (), "f32")
    none = replies(CONV, ("nchw",), (), "s32")
    assert answer([both], [CONV]) == Answer(
        ("6 of 6 strategies take the problem; 1 more is not installed.",),
        f"convprof run {CONV.descriptor}",
    )
    (sentence,) = answer([both, none], [CONV, CONV]).sentences
    of = f"0 of 6 strategies take {CONV.descriptor}, the fewest of all problems"
    assert sentence == f"{of}; 1 more is not installed."
    assert answer([none], [CONV]).command == ""
    assert answer([none, both], [PRODUCT, CONV]).command == f"convprof run {CONV.descriptor}"
    (sentence,) = answer([both, both], [CONV, CONV]).sentences
    assert sentence == "6 of 6 strategies take each of the 2 problems; 1 more is not installed."
    nothing = listing("conv2d", "bf16")
    assert answer([nothing], (), "bf16") == Answer(("No strategy computes bf16.",))
