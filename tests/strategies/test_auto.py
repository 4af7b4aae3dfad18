"""``auto`` chooses among our own, remembers, and believes nothing that a stranger left."""

from __future__ import annotations

import dataclasses
import json
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import convprof
from convprof import cache_folder, choice_store, doubts
from convprof.problems import Conv2d, Gemm
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.tuning import auto, search, search_time
from convprof.strategies.tuning.search import Timings

P = Conv2d(c=16, k=24, h=9, w=10, r=3, s=3, pad=(1, 1))
G = Gemm(m=30, n=40, k=50)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVPROF_CACHE_DIR", str(tmp_path / "choices"))
    return tmp_path / "choices"


@pytest.fixture(autouse=True)
def calm(monkeypatch):
    """Time for real, and believe it whatever else runs here; return what changes that."""
    doubt = []

    def times(*args):
        return search.times(*args)._replace(doubt=doubt[0] if doubt else None)

    monkeypatch.setattr(auto, "times", times)
    return doubt


def prepare(problem, tune, layout="nhwc"):
    return registry.find(problem.kind, "auto").prepare(problem, Setting(layout, tune=tune))


def never(*_):
    raise AssertionError("timed again")


@pytest.mark.parametrize("tune", ["off", "quick", "full"])
def test_whatever_is_chosen_is_right(tune):
    random = np.random.default_rng(0)
    x, w = random.random(P.x_shape("nchw")), random.random(P.weight_shape)
    prepared = prepare(P, tune)
    prepared.bind(x.transpose(0, 2, 3, 1), w)
    prepared.run()
    reference = P.reference((x, w))
    assert np.abs(prepared.output().transpose(0, 3, 1, 2) - reference).max() < 1e-4
    a, b = random.random(G.a_shape), random.random(G.b_shape)
    prepared = prepare(G, tune)
    prepared.bind(a, b)
    prepared.run()
    assert np.abs(prepared.output() - a @ b).max() < 1e-4
    assert prepared.explanation[0].startswith(("packed (", "prepacked ("))


def test_the_model_alone_times_and_remembers_nothing(monkeypatch, folder):
    monkeypatch.setattr(auto, "times", never)
    assert "nothing was timed" in prepare(P, "off").explanation[0]
    assert not folder.exists()


@pytest.mark.parametrize("threads", [1, 4])
def test_nothing_is_planned_twice_without_timing(monkeypatch, threads):
    calls = []

    def counted(member, name):
        function = getattr(member, name)

        def count(problem, setting, *blocking):
            calls.append((member.name, name, setting.threads))
            return function(problem, setting, *blocking)

        monkeypatch.setattr(member, name, count)

    strategy = registry.find("conv2d", "auto")
    for member in strategy._members():
        counted(member, "cycles")
        counted(member, "plan_blocked")
    plan = strategy.plan(P, Setting("nhwc", threads=threads, tune="off"))
    assert "nothing was timed" in plan.explanation[0]
    assert len(set(calls)) == len(calls)
    plans = [each for each in calls if each[1:] == ("plan_blocked", threads)]
    suitable = strategy._taking(P, Setting("nhwc"))
    assert len(plans) == (1 if threads == 1 else len(suitable))


@pytest.mark.parametrize("dtype", ["f32", "bf16", "u8:s8:s32"])
def test_few_rows_take_panels_that_are_packed_beforehand(dtype):
    """Reading ``b`` in place takes 1.05 to 3 times as long, in each type and at each m."""
    strategy = registry.find("gemm", "auto")
    for m in (1, 16, 48, 49, 64, 65):
        setting = Setting(dtype=dtype, tune="off")
        first, *_ = strategy.candidates(Gemm(m=m, n=1024, k=1024), setting)
        assert first.strategy.name in {"prepacked", "strassen"}, m


def test_a_search_is_expected_until_a_choice_is_stored():
    strategy = registry.find("conv2d", "auto")
    assert strategy.searches(P, Setting("nhwc", tune="off")) == frozenset()
    (key,) = strategy.searches(P, Setting("nhwc"))
    assert strategy.searches(P, Setting("nchw")) != {key}
    before_s = search_time.total_s()
    prepare(P, "quick")
    assert search_time.total_s() > before_s
    assert strategy.searches(P, Setting("nhwc")) == frozenset()


def test_the_fastest_is_chosen_and_remembered(monkeypatch):
    candidates = registry.find("conv2d", "auto").candidates(P, Setting("nhwc"))
    tried = []

    def third_wins(prepared, *_):
        tried.extend(prepared)
        return Timings([3.0, 2.0, 1.0, *[4.0] * (len(prepared) - 3)])

    monkeypatch.setattr(auto, "times", third_wins)
    first = prepare(P, "quick").explanation[0]
    assert len(tried) == search.EFFORTS["quick"].candidates < len(candidates)
    assert first.startswith(str(candidates[2]))
    assert "100 % ahead" in first
    monkeypatch.setattr(auto, "times", never)
    again = prepare(P, "quick").explanation[0]
    assert again.startswith(str(candidates[2]))
    assert "remembered" in again


BUSY = "other programs used 2.0 of 2 CPUs while its thread ran"


def test_a_choice_in_doubt_is_used_but_not_stored(calm, folder, monkeypatch):
    calm.append(BUSY)
    assert f"not stored, in doubt: {BUSY}" in prepare(G, "quick").explanation[0]
    assert not folder.exists()
    monkeypatch.setattr(auto, "times", never)
    assert "remembered" in prepare(G, "quick").explanation[0]  # by this process


def test_the_next_process_times_a_choice_in_doubt_again(calm):
    calm.append(BUSY)
    prepare(G, "quick")
    choice_store.reset()
    calm.clear()
    assert "fastest of" in prepare(G, "quick").explanation[0]
    choice_store.reset()
    assert "remembered" in prepare(G, "quick").explanation[0]


def test_a_stored_choice_says_how_it_was_made(folder):
    prepare(G, "quick")
    (path,) = folder.glob("choices-*.json")
    made = json.loads(path.read_text())["made"]
    assert made["at"] == pytest.approx(time.time(), abs=600)
    assert made["llvm"].split(".")[0].isdigit()
    assert (made["convprof"], made["load"]) == (convprof.__version__, None)


def test_renewed_choices_are_timed_once_and_replace_the_stored_ones(folder, monkeypatch):
    prepare(G, "quick")
    (path,) = folder.glob("choices-*.json")
    path.write_bytes(b"old")
    choice_store.renew(auto.CHOICES)
    assert "fastest of" in prepare(G, "quick").explanation[0]
    assert path.read_bytes() != b"old"
    monkeypatch.setattr(auto, "times", never)
    assert "remembered" in prepare(G, "quick").explanation[0]


def test_another_llvm_is_another_choice(monkeypatch):
    names = ["packed"]
    before = auto._key(G, Setting(), names)
    other = dataclasses.replace(auto.target(), llvm_version="99.0.0")
    monkeypatch.setattr(auto, "target", lambda: other)
    assert auto._key(G, Setting(), names) != before


@pytest.mark.parametrize(
    ("threads", "others", "fastest", "doubtful"),
    [
        (1, 0.0, [1.0, 1.05], False),
        (1, 0.0, [1.0, 1.3], True),
        (2, 1.0, [1.0, 1.0], True),
        (1, 1.0, [1.0, 1.0], False),
        (1, None, [1.0], False),
    ],
)
def test_the_doubt_of_a_search(threads, others, fastest, doubtful):
    around = doubts.Surroundings(2, others)
    assert (doubts.of_choice(threads, around, fastest) is not None) is doubtful


def test_choices_are_kept_apart():
    keys = {
        json.dumps(auto._key(problem, setting, names))
        for names in (["packed"], ["packed", "prepacked"])
        for problem in (P, P.with_batch(2), G)
        for setting in (
            Setting("nhwc"), Setting("nchw"), Setting("nhwc", "f64"), Setting("nhwc", threads=2),
            Setting("nhwc", isa="avx2"), Setting("nhwc", tune="full"),
        )
    }  # fmt: skip
    assert len(keys) == 36


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[1]",
        b"{}",
        b'{"key": {}, "choice": {}}',
        b'{"choice": []}',
        b"\xff\xfe",
        b" " * 100_000,
        b"[" * 60_000,
        b'{"key": ' + b"5" * 5000 + b"}",
    ],
    ids=range(11),
)
def test_a_corrupt_or_foreign_file_is_ignored_in_one_line(folder, content, caplog, monkeypatch):
    monkeypatch.setattr(cache_folder, "_complained", set())
    prepare(P, "quick")
    (path,) = folder.glob("choices-*.json")
    path.write_bytes(content)
    assert "timed" in prepare(P, "quick").explanation[0]
    (record,) = caplog.records
    assert f"{path}: not the choice that was asked for: chosen anew" in record.getMessage()
    assert "remembered" in prepare(P, "quick").explanation[0]
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"strategy": "direct", "blocking": {}},
        {"strategy": "microkernel", "blocking": {"vectors": 10**9, "rows": 1, "block_rows": 1}},
        {"strategy": ["microkernel"], "blocking": None},
    ],
)
def test_a_choice_that_would_not_be_tried_is_not_believed(choice):
    setting = Setting("nhwc")
    names = [each.strategy.name for each in registry.find("conv2d", "auto").candidates(P, setting)]
    choice_store.save(auto.CHOICES, auto._key(P, setting, names), choice, choice_store.Made())
    assert "fastest of" in prepare(P, "quick").explanation[0]


def test_a_folder_that_cannot_be_written_is_no_matter(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("CONVPROF_CACHE_DIR", str(blocked / "below"))
    assert "fastest of" in prepare(P, "quick").explanation[0]


def test_auto_is_a_strategy_like_any_other():
    prepared = convprof.prepare(P, strategy="auto", layout="nchw")
    assert prepared.explanation


@st.composite
def convolutions(draw):
    sizes = st.integers(1, 20)
    h, w, r, s = (draw(sizes) for _ in range(4))
    groups = draw(st.sampled_from([1, 1, 3]))
    return Conv2d(
        n=draw(st.integers(1, 2)), c=groups * draw(sizes), k=groups * draw(sizes),
        h=h, w=w, r=min(r, h, 5), s=min(s, w, 5), pad=(1, 1), groups=groups,
        stride=draw(st.sampled_from([(1, 1), (2, 1)])),
    )  # fmt: skip


# Of 60 examples, the 32nd was the last that took a branch which none before it had taken.
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # a folder that stays unchanged
)
@example(Conv2d(n=2, c=6, h=2, w=17, k=17, r=2, s=5, stride=(2, 1), pad=(1, 1)))
@given(convolutions())
def test_the_models_choice_is_right_for_random_problems(p):
    random = np.random.default_rng(0)
    x, weights = random.random(p.x_shape("nchw")) - 0.5, random.random(p.weight_shape) - 0.5
    prepared = prepare(p, "off", "nchw")
    prepared.bind(x, weights)
    prepared.run()
    reference = p.reference((x, weights))
    assert np.abs(prepared.output() - reference).max() <= 5e-5 * np.abs(reference).max()
