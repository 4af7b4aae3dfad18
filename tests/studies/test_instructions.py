from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from convprof.errors import ConvprofError, InputError
from convprof.machine import facts
from convprof.machine.instructions import Cost
from convprof.machine.noise import NoiseWatch
from convprof.studies import instructions as study
from convprof.studies.instructions import Instructions

COST = Cost(4.0, 0.5, 0.001, 0.002, 3e9, 12)


class FakeBench:
    """Every instruction costs the same; Ctrl-C comes before the pass with that number."""

    interrupt_at = None

    def __init__(self, instructions, meter):
        self.instructions = instructions
        self.measured = []
        assert meter.source == "calibrated"

    def passes(self, deadline_s):
        assert deadline_s <= 10
        for number in (1, 2):
            if number == self.interrupt_at:
                raise KeyboardInterrupt
            self.measured = self.instructions[: None if number == 2 else 2]
            yield number, 2 - number

    def costs(self):
        return {row.key: COST for row in self.measured}


@pytest.fixture(autouse=True)
def _known():
    if facts().cpu.architecture not in ("x86_64", "aarch64"):
        pytest.skip("no instructions known here")


@pytest.fixture
def fake(monkeypatch):
    class Chosen(FakeBench):
        pass

    monkeypatch.setattr(study, "Bench", Chosen)
    monkeypatch.setattr(study, "best_meter", lambda: SimpleNamespace(source="calibrated"))
    return Chosen


def measured(match=None):
    made = Instructions(match)
    return made, list(made.passes())


@pytest.mark.usefixtures("fake")
def test_rates_follow_from_the_throughput():
    made, said = measured("^(fma|add) f32 128$|^mul i64 scalar")
    assert said[0] == "compiling the loops"
    rows = {row.name: row for row in made.rows()}
    assert rows.keys() == {"fma f32 128", "add f32 128", "mul i64 scalar"}
    fma, mul = rows["fma f32 128"], rows["mul i64 scalar"]
    assert (fma.lanes, fma.elements_per_cycle, fma.ops_per_cycle) == (4, 8.0, 16.0)
    assert (mul.lanes, mul.elements_per_cycle, mul.ops_per_cycle) == (1, 2.0, 2.0)
    assert fma.stable
    assert fma.published


@pytest.mark.usefixtures("fake")
def test_a_root_needs_the_multiplication_but_does_not_show_it():
    made, _ = measured("^sqrt f64 128 full$")
    assert [row.name for row in made.rows()] == ["sqrt f64 128 full"]
    assert {row.key.name for row in made._measured} == {"mul f64 128", "sqrt f64 128 full"}


@pytest.mark.usefixtures("fake")
def test_the_document_is_plain_json(invalid):
    made, _ = measured()
    document = made.to_json(made.rows(), NoiseWatch(1), {"argv": ["instructions"]})
    again = json.loads(json.dumps(document, allow_nan=False))
    assert again == document
    assert invalid(document) == []
    assert set(document) == {
        "schema_version", "kind", "tool_version", "machine", "state", "settings", "cycle_source",
        "rows", "missing", "published", "resemblances", "resembles", "interrupted",
    }  # fmt: skip
    assert document["settings"] == {"argv": ["instructions"], "match": None}
    assert document["cycle_source"] == "calibrated"
    assert not document["interrupted"]
    first = document["rows"][0]
    assert first["name"] == "add i32 scalar"
    assert first["bits"] is None
    assert first["reciprocal_throughput"] == 0.5


@pytest.mark.usefixtures("fake")
def test_narrow_machines_say_what_is_missing(monkeypatch):
    narrow = dict.fromkeys(facts().cpu.extensions, False)
    cpu = SimpleNamespace(architecture="x86_64", extensions=narrow | {"SSE2": True})
    monkeypatch.setattr(study, "facts", lambda: SimpleNamespace(cpu=cpu))
    made = Instructions()
    missing = {row.name: row.reason for row in made.missing}
    assert missing["fma f32 512"] == "needs AVX512F, which this CPU does not have"
    assert missing["mul i32 128"] == "needs SSE4.1, which this CPU does not have"
    assert missing["add f64 256"] == "needs AVX, which this CPU does not have"
    assert {row.key.name for row in made._chosen} > {"add f32 128", "sqrt f64 scalar full"}
    assert not [row for row in made._chosen if row.key.bits not in (None, 128)]


def test_interrupted_it_keeps_what_it_has(fake):
    fake.interrupt_at = 2
    made, _ = measured("f32")
    assert made.interrupted
    assert len(made.rows()) == 2


def test_interrupted_before_anything(fake):
    fake.interrupt_at = 1
    made, _ = measured("f32")
    assert made.interrupted
    assert made.rows() == []
    document = made.to_json([], NoiseWatch(1), {})
    assert (document["rows"], document["resembles"]) == ([], None)


def test_patterns_that_make_no_sense():
    with pytest.raises(InputError, match=r"match=\(: not a regular expression"):
        Instructions("(")
    with pytest.raises(InputError, match="match=quux: no instruction's name matches"):
        Instructions("quux")
    with pytest.raises(InputError, match="at most 1000 characters"):
        Instructions("x" * 1001)


def test_without_a_meter_nothing_can_be_said(monkeypatch):
    monkeypatch.setattr(study, "best_meter", lambda: None)
    with pytest.raises(ConvprofError, match="neither a cycle counter"):
        measured("add")


def test_an_architecture_without_instructions(monkeypatch):
    cpu = SimpleNamespace(architecture="riscv64", extensions={})
    monkeypatch.setattr(study, "facts", lambda: SimpleNamespace(cpu=cpu))
    with pytest.raises(ConvprofError, match="no instructions are known for riscv64"):
        Instructions()
