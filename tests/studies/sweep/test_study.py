"""`sweep` on strategies that run at the rate they are told, without a clock."""

from __future__ import annotations

import dataclasses
import gc
import json
import tracemalloc

import pytest
from fake_clock import Clock

from convprof.dtypes import F32
from convprof.errors import InputError
from convprof.machine import facts, peaks
from convprof.machine.model import MachineModel
from convprof.machine.peaks import Peak
from convprof.measure import bench
from convprof.measure.settings import Settings
from convprof.problems import Conv2d, Gemm
from convprof.strategies import registry
from convprof.strategies.base import Prepared, Strategy
from convprof.studies.journal import Journal
from convprof.studies.run import Choice
from convprof.studies.sweep import study as sweep
from convprof.studies.sweep.plan import KIND, Plan, check, check_same
from convprof.studies.sweep.points import capacities, row_of, rows_of
from convprof.studies.sweep.study import Began, Ended, Sweep, predicted_s

PEAK = 100e9


class FakePrepared(Prepared):
    def __init__(self, strategy, problem, setting):
        self.strategy, self.problem, self.setting = strategy, problem, setting

    def bind(self, a, b):
        self.y = self.problem.reference((a, b))

    def run(self):
        self.strategy.calls += 1
        if self.strategy.calls == self.strategy.interrupt_at:
            raise KeyboardInterrupt
        Clock.now += self.problem.flops / self.strategy.rate / self.setting.threads

    def output(self):
        return self.y


class Fake(Strategy):
    kind = "gemm"
    summary = "a rate"

    def __init__(self, name, rate, *, parallel=False, interrupt_at=0):
        self.name, self.rate, self.parallel = name, rate, parallel
        self.interrupt_at = interrupt_at
        self.calls = 0

    def prepare(self, problem, setting):
        return FakePrepared(self, problem, setting)


@pytest.fixture(autouse=True)
def _no_peak(monkeypatch, no_clock):  # noqa: ARG001
    monkeypatch.setattr(bench, "time", Clock)

    def measure(dtype, threads, bits, *, fused):
        return Peak("avx2", bits, dtype, threads, threads * PEAK, None, None, None, fused)

    monkeypatch.setattr(peaks, "measure", measure)


def plan(**changes):
    made = Plan(
        Gemm(m=4, n=4, k=4),
        "size",
        (2, 4, 8, 16),
        Choice(("slow", "quick")),
        Settings(rounds=6),
    )
    return dataclasses.replace(made, **changes)


@pytest.fixture
def swept(tmp_path, monkeypatch):
    """Run a plan on strategies; return what the journal then has and what happened."""
    path = str(tmp_path / "points.jsonl")

    def go(wanted, *strategies):
        monkeypatch.setattr(registry, "_all", lambda: strategies)
        events = []
        with Journal(path, KIND) as journal:
            if journal.header is None:
                journal.begin(sweep.begin(wanted, ["sweep"], MachineModel(facts())))
            else:
                check_same(journal, wanted.identity())
            try:
                events += list(Sweep(wanted, journal).events())
            except KeyboardInterrupt:
                events.append("interrupted")
            return list(journal.records()), events

    go.path = path
    return go


def pair(**changes):
    return Fake("slow", 1e9, **changes), Fake("quick", 50e9)


def test_every_point_is_measured_once_with_every_strategy(swept):
    records, events = swept(plan(), *pair())
    assert [record["x"] for record in records] == [2, 4, 8, 16]
    assert [record["index"] for record in records] == [0, 1, 2, 3]
    began = [e for e in events if isinstance(e, Began)]
    assert [(e.index, e.total, e.x) for e in began] == [(0, 4, 2), (1, 4, 4), (2, 4, 8), (3, 4, 16)]
    done = [e.part.done for e in began]
    assert done == sorted(done)
    assert [e.record for e in events if isinstance(e, Ended)] == records
    for record in records:
        assert [m["strategy"] for m in record["measurements"]] == ["slow", "quick"]
        assert record["measurements"][0]["problem"]["m"] == record["x"]
        assert [m["flop_per_s"] for m in record["measurements"]] == pytest.approx([1e9, 50e9])
        assert [m["peak_fraction"] for m in record["measurements"]] == pytest.approx([0.01, 0.5])


def test_an_interrupted_sweep_goes_on_where_it_stopped(swept):
    slow, quick = pair(interrupt_at=30)
    records, events = swept(plan(), slow, quick)
    assert events[-1] == "interrupted"
    done = len(records)
    assert 0 < done < 4
    slow.interrupt_at = 0
    records, events = swept(plan(), slow, quick)
    assert [record["index"] for record in records] == [0, 1, 2, 3]
    assert [e.index for e in events if isinstance(e, Began)] == list(range(done, 4))
    again, events = swept(plan(), slow, quick)
    assert (again, events) == (records, [])


def test_a_point_in_the_middle_of_a_kill_is_measured_again(swept):
    records, _ = swept(plan(), *pair())
    with open(swept.path, "r+b") as file:  # noqa: PTH123
        file.seek(-7, 2)
        file.truncate()
    again, events = swept(plan(), *pair())
    assert [record["index"] for record in again] == [0, 1, 2, 3]
    assert [e.index for e in events if isinstance(e, Began)] == [3]
    assert again[:3] == records[:3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": (2, 4, 8)}, r"another sweep: values 2,4,8,16, here 2,4,8"),
        ({"over": "batch"}, r"over size, here batch"),
        ({"base": Gemm(m=5, n=4, k=4)}, r"problem 4x4:4x4, here 5x4:4x4"),
        ({"choice": Choice(("slow",))}, r"strategies slow,quick, here slow"),
        ({"choice": Choice(("slow", "quick"), dtype="f64")}, r"dtype f32, here f64"),
        ({"settings": Settings(rounds=7)}, r"rounds 6, here 7"),
    ],
)
def test_another_sweep_is_refused(swept, changes, message):
    swept(plan(), *pair())
    with pytest.raises(InputError, match=message):
        swept(plan(**changes), *pair())


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda h, _: h["machine"].update(key="0" * 12), "another sweep: machine 000000000000"),
        (lambda h, _: h.update(tool_version="0"), "tool_version is 0, here"),
        (lambda h, _: h.update(schema_version=1), "schema_version is 1, here 2"),
        (lambda h, _: h.update(settings=None), "another sweep: budget_s None"),
        (lambda h, _: h.update(schema_version="\x1b[2J"), r"schema_version is \\x1b\[2J, here 2"),
        (lambda h, _: h.update(ceilings={}), "its first line is damaged: a list is missing"),
        (lambda h, _: h["ceilings"].update(peaks=[]), "first line is damaged: there is no peak"),
        (lambda h, _: h["ceilings"].update(isa_peaks=[1]), "first line is damaged: an object is"),
        (lambda h, _: h["machine"].update(caches=[1]), "first line is damaged: an object is"),
        (lambda h, _: h["machine"].update(brand="\x1b[2J"), "first line is damaged: a text is"),
        (lambda h, _: h["machine"].update(physical_cores="2"), "first line is damaged: an integer"),
        (lambda h, _: h["sweep"].update(meaning=None), "first line is damaged: a text is missing"),
        (lambda _, r: r.update(index=7), "point 7 does not belong"),
        (lambda _, r: r.update(index=True), "point True does not belong"),
        (lambda _, r: r.update(index="0"), "point 0 does not belong"),
        (lambda _, r: r.update(x=3), "point 0 does not belong"),
        (lambda _, r: r.update(measurements=None), "point 0 is damaged"),
        (lambda _, r: r["measurements"][0].pop("status"), "point 0 is damaged"),
        (lambda _, r: r["measurements"][0].update(flop_per_s="fast"), "point 0 is damaged"),
        (lambda _, r: r["measurements"][0]["time_s"].update(ci95_low=0), "point 0 is damaged"),
        (lambda _, r: r["measurements"][0].update(peak_fraction="x"), "point 0 is damaged"),
        (lambda _, r: r["measurements"][0].update(flop_per_s=float("nan")), "point 0 is damaged"),
        (lambda _, r: r["measurements"][0].update(flop_per_s=-1.0), "point 0 is damaged"),
        (lambda _, r: r["measurements"][0].update(bytes_min=[]), "point 0 is damaged"),
    ],
)
def test_a_file_that_was_changed_is_refused(swept, edit, message):
    wanted = plan(values=(2,))
    swept(wanted, *pair())
    with open(swept.path, encoding="utf-8") as file:  # noqa: PTH123
        header, record = (json.loads(line) for line in file)
    edit(header, record)
    with open(swept.path, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.writelines(json.dumps(line) + "\n" for line in (header, record))
    with pytest.raises(InputError, match=message):
        swept(wanted, *pair())


def test_the_same_point_twice_is_refused(swept):
    swept(plan(values=(2,)), *pair())
    with open(swept.path, "r+b") as file:  # noqa: PTH123
        last = file.readlines()[-1]
        file.write(last)
    with pytest.raises(InputError, match="point 0 does not belong"):
        swept(plan(values=(2,)), *pair())


def test_who_would_take_too_long_is_refused_with_the_way_out(swept):
    # 2 x 16^3 FLOP at 100 FLOP/s are 82 s, and there are 7 calls of them.
    crawling, quick = Fake("slow", 100), Fake("quick", 50e9)
    records, _ = swept(plan(time_limit_s=100), crawling, quick)
    statuses = [[m["status"] for m in record["measurements"]] for record in records]
    assert statuses == [["ok", "ok"], ["ok", "ok"], ["ok", "ok"], ["refused", "ok"]]
    reason = records[3]["measurements"][0]["reason"]
    assert reason.startswith("predicted to take 573 s at this point, over the patience of 100 s")
    assert "raise it" in reason


def test_a_continued_sweep_uses_the_earlier_rates(swept):
    crawling, quick = Fake("slow", 100, interrupt_at=16), Fake("quick", 50e9)
    records, _ = swept(plan(time_limit_s=100), crawling, quick)
    assert len(records) == 2
    crawling.interrupt_at = 0
    records, _ = swept(plan(time_limit_s=20), crawling, quick)
    assert [r["measurements"][0]["status"] for r in records] == ["ok", "ok", "refused", "refused"]
    crawling_calls = crawling.calls
    swept(plan(time_limit_s=20), crawling, quick)
    assert crawling.calls == crawling_calls


@pytest.mark.parametrize(
    ("call_s", "settings", "seconds"),
    [
        (40.0, Settings(budget_s=0.07), 80.0),  # verified once, sampled once
        (0.1, Settings(budget_s=0.07), 0.7),  # six rounds
        (0.3, Settings(budget_s=0.07), 1.5),  # patience for four
        (1e-6, Settings(budget_s=0.07), 0.07),
        (2.0, Settings(rounds=10), 22.0),
    ],
)
def test_predictions_follow_the_sampler(call_s, settings, seconds):
    assert predicted_s(call_s, settings) == pytest.approx(seconds)


def test_over_threads_each_point_has_its_own_ceiling(swept):
    wanted = plan(over="threads", values=(1, 2), base=Gemm(m=64, n=64, k=64))
    records, _ = swept(wanted, Fake("slow", 1e9), Fake("quick", 50e9, parallel=True))
    found = [
        [(m["threads"], m["status"], m["peak_fraction"]) for m in record["measurements"]]
        for record in records
    ]
    assert found == [
        [(1, "ok", pytest.approx(0.01)), (1, "ok", pytest.approx(0.5))],
        [(2, "refused", None), (2, "ok", pytest.approx(0.5))],
    ]
    assert [list(row.cells) for row in rows_of(records, threads=False)] == [["slow", "quick"]] * 2


def test_a_row_has_the_interval_as_rates(swept):
    records, _ = swept(plan(values=(16,)), *pair())
    measurement = records[0]["measurements"][0]
    measurement["time_s"] = {"median": 4.0, "ci95_low": 2.0, "ci95_high": 8.0}
    measurement["flop_per_s"] = 10.0
    cell = row_of(records[0]).cells["slow 1 thread"]
    assert (cell.low, cell.rate, cell.high) == (5.0, 10.0, 20.0)
    measurement["time_s"] = {"median": 4.0, "ci95_low": None, "ci95_high": None}
    cell = row_of(records[0]).cells["slow 1 thread"]
    assert (cell.low, cell.rate, cell.high) == (None, 10.0, None)


CACHES = [
    {"level": 1, "kind": "data", "size_bytes": 48 << 10},
    {"level": 1, "kind": "instruction", "size_bytes": 1},
    {"level": 2, "kind": "unified", "size_bytes": 2 << 20},
    {"level": 3, "kind": "unified", "size_bytes": None},
    {"level": 4, "kind": "unified", "size_bytes": 1 << 40},
]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        # 3 x^2 floats: 64 fill 48 KiB exactly; 418 are the least over 2 MiB.
        ({"values": (32, 2048)}, [("L1", 65), ("L2", 419)]),
        ({"values": (32, 64)}, []),
        ({"values": (65, 2048)}, [("L2", 419)]),
        ({"over": "batch", "base": Gemm(m=64, n=64, k=64), "values": (1, 9)}, [("L1", 2)]),
        ({"over": "threads", "base": Gemm(m=900, n=900, k=900), "values": (1, 2)}, []),
    ],
)
def test_where_the_working_set_passes_the_caches(changes, found):
    passed = capacities(plan(**changes), CACHES)
    assert [(capacity.name, capacity.x) for capacity in passed] == found
    wanted = plan(**changes)
    for capacity in passed:
        assert wanted.problem(capacity.x).bytes_min(F32) > capacity.size_bytes
        assert wanted.problem(capacity.x - 1).bytes_min(F32) <= capacity.size_bytes


def test_without_known_caches_nothing_is_marked():
    assert capacities(plan(values=(32, 2048)), []) == []
    assert capacities(plan(values=(32, 2048)), [{"level": None}, {}]) == []


def test_points_that_cannot_be_are_refused_before_measuring():
    conv = Conv2d(c=4, h=5, w=5, k=4, r=5, s=5)
    with pytest.raises(InputError, match=r"range=image: r=5: .*does not fit"):
        check(plan(base=conv, over="image", values=(3, 9)))
    with pytest.raises(InputError, match=r"needs .* of memory"):
        check(plan(values=(2, 10_000_000)))


def test_memory_does_not_grow_with_the_points(monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "_all", pair)

    def held(count):
        """Return the bytes that are held when the last of the points has been measured."""
        wanted = plan(values=tuple(range(2, 2 + count)), settings=Settings(rounds=1))
        with Journal(str(tmp_path / f"{count}.jsonl"), KIND) as journal:
            journal.begin(sweep.begin(wanted, [], MachineModel(facts())))
            tracemalloc.start()
            study = Sweep(wanted, journal)
            for _ in study.events():
                pass
            gc.collect()
            ours = tracemalloc.Filter(inclusive=True, filename_pattern="*convprof*")
            found = tracemalloc.take_snapshot().filter_traces([ours]).statistics("filename")
            tracemalloc.stop()
            assert len(study.done) == count
        return sum(each.size for each in found)  # NumPy remembers every einsum of the reference

    held(2)  # whatever is loaded and remembered once
    assert held(13) - held(3) < 10_000  # of the 10 points more, each has 2 kB in the file


def test_what_a_file_says_cannot_command_a_terminal():
    measurement = {
        "strategy": "slow\x1b[2J", "layout": None, "threads": 1, "time_s": None,
        "flop_per_s": None, "bytes_min": 1, "peak_fraction": None, "flops": None,
        "status": "refused", "reason": "a\nb",
    }  # fmt: skip
    (cell,) = row_of({"x": 1, "measurements": [measurement]}).cells.items()
    assert cell[0] == "slow\\x1b[2J 1 thread"
    assert cell[1].reason == "a\\nb"
