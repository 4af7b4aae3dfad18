"""Problems x hosts, totals over what all hosts finished, prices, and the answer."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import fleets
import pytest

from convprof.errors import InputError
from convprof.studies.fleet import answer, files, saved_table, table

TIMES = {"a": (1e-3, 2e-3, 3e-3), "b": (2e-3, 1e-3, 6e-3)}


@pytest.fixture
def path(tmp_path):
    def says(key, fields):
        return fleets.reply(fields["problem"], TIMES[key[0]][key[1]], machine=key[0])

    fleets.run(tmp_path / "f.jsonl", fleets.FakeCluster(["a", "b"], says))
    return str(tmp_path / "f.jsonl")


def test_totals_count_each_problem_as_often_as_the_suite_has_it(path):
    first, second = files.read([path]).totals({"a": 3.6, "b": 0.36})
    assert (first.host.name, second.host.name) == ("a", "b")
    assert first.seconds == pytest.approx(1e-3 + 2 * 2e-3 + 3 * 3e-3)
    assert second.seconds == pytest.approx(2e-3 + 2 * 1e-3 + 3 * 6e-3)
    assert (first.wins, second.wins) == (2, 1)
    assert first.peak_fraction == pytest.approx(0.5)
    assert first.cycles == 6e6
    assert first.price_per_million == pytest.approx(14e-3 * 1e6 * 3.6 / 3600)
    assert second.price_per_million == pytest.approx(22e-3 * 1e6 * 0.36 / 3600)


def test_only_problems_that_all_hosts_finished_are_compared(tmp_path):
    def says(key, fields):
        if key == ("b", 1):
            return json.dumps({"status": "failed", "reason": "it broke"})
        return fleets.reply(fields["problem"], TIMES[key[0]][key[1]])

    fleets.run(tmp_path / "f.jsonl", fleets.FakeCluster(["a", "b"], says))
    read = files.read([str(tmp_path / "f.jsonl")])
    assert len(read.common) == 2
    first, second = read.totals({})
    assert first.seconds == pytest.approx(1e-3 + 3 * 3e-3)
    assert (second.finished, second.failed) == (2, 1)
    said = answer.answer(read, {})
    assert said.sentences[-1] == "1 failed: the same `fleet` command measures only these."


def test_a_later_file_replaces_the_results_of_a_host(path, tmp_path):
    later = tmp_path / "later.jsonl"
    says = lambda _, fields: fleets.reply(fields["problem"], 1e-4)  # noqa: E731
    fleets.run(later, fleets.FakeCluster(["a"], says))
    read = files.read([path, str(later)])
    assert read.totals({})[0].seconds == pytest.approx(6e-4)
    assert set(read.hosts) == {"a", "b"}


def test_the_document_is_of_the_schema_and_has_the_answer(path, invalid):
    read = files.read([path])
    prices = {"b": 0.36}
    said = answer.answer(read, prices)
    document = table.document(read, prices, said)
    assert invalid(document) == []
    assert document["rows"][1]["fastest"] == "b"
    assert said.sentences == (
        (
            "a is the fastest: 14.0 ms for the 3 problems that every host finished, 50 % of its "
            "peak; b takes 1.57 times as long."
        ),
        "A million runs of the suite cost 2.20 on b.",
    )


def test_times_in_doubt_are_said_and_no_price_is_concluded_from_them(tmp_path):
    says = lambda _, fields: fleets.reply(fields["problem"], doubt="other programs")  # noqa: E731
    fleets.run(tmp_path / "f.jsonl", fleets.FakeCluster(["a"], says))
    said = answer.answer(files.read([str(tmp_path / "f.jsonl")]), {"a": 1.0})
    assert said.sentences == (
        "3 problems take: a 6.00 ms.",
        "3 of the 3 times are in doubt: measure again on idle hosts, into another file.",
    )


def test_a_host_is_in_doubt_where_a_strategy_in_doubt_may_be_faster(tmp_path):
    def says(key, fields):
        doubtful = fleets.measurement(fields["problem"], 1e-3, doubt="a storm")
        return fleets.reply(fields["problem"], 2e-3, further=(doubtful,) if key[1] == 0 else ())

    fleets.run(tmp_path / "f.jsonl", fleets.FakeCluster(["a", "b"], says))
    read = files.read([str(tmp_path / "f.jsonl")])
    assert [row.fastest is None for row in read.ordered] == [True, False, False]
    assert answer.answer(read, {}).sentences[1].startswith("2 of the 6 times are in doubt")


def test_hosts_that_hardly_differ_are_the_same(tmp_path):
    says = lambda key, f: fleets.reply(f["problem"], 1e-3 if key[0] == "a" else 1.01e-3)  # noqa: E731
    fleets.run(tmp_path / "f.jsonl", fleets.FakeCluster(["a", "b"], says))
    said = answer.answer(files.read([str(tmp_path / "f.jsonl")]), {})
    assert said.sentences == (
        "a and b are the same within 2 %: 6.00 ms for 3 problems, 50 % of its peak.",
    )


def test_a_document_is_read_as_the_table_that_it_was_written_from(path):
    read, prices = files.read([path]), {"b": 0.36}
    document = json.loads(json.dumps(table.document(read, prices, answer.answer(read, prices))))
    again, same_prices = saved_table.of_document(document)
    assert same_prices == prices
    assert again.totals(prices) == read.totals(prices)
    assert table.document(again, prices, answer.answer(again, prices)) == document


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda d: d["hosts"].pop(), "not in the list"),
        (lambda d: d["rows"][0].update(count=0), "below 1"),
        (lambda d: d["rows"][0].pop("hosts"), "object is missing"),
        (lambda d: d["rows"][0]["hosts"]["a"].update(status="?"), "unknown status"),
        (lambda d: d["hosts"][0].update(name="\x1b"), "printable"),
    ],
)
def test_a_damaged_document_is_refused(path, damage, reason):
    document = json.loads(json.dumps(table.document(files.read([path]))))
    damage(document)
    with pytest.raises(InputError, match=reason):
        saved_table.of_document(document)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda lines: [*lines, "{"], "line 8 is damaged|not JSON"),
        (lambda lines: [lines[0], lines[1].replace('"index": 0', '"index": 9')], "line 2"),
        (lambda lines: [lines[0].replace('"fleet"', '"run"')], "not of the kind"),
        (lambda lines: [lines[0], lines[1].replace('"host": "a"', '"host": "\\u001b"')], "line 2"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(path, tmp_path, damage, reason):
    with Path(path).open(encoding="utf-8") as file:
        lines = damage(file.read().splitlines())
    other = tmp_path / "damaged.jsonl"
    other.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=reason) as error:
        files.read([str(other)])
    assert "\n" not in str(error.value)


def test_a_line_without_its_end_is_dropped(path):
    with Path(path).open("rb+") as file:
        file.truncate(file.seek(0, 2) - 20)
    assert sum(total.missing for total in files.read([path]).totals({})) == 1


def test_files_of_other_options_are_not_one_table(path, tmp_path):
    other = dataclasses.replace(fleets.TERMS, options={"dtype": ("bf16",)})
    fleets.run(tmp_path / "bf16.jsonl", fleets.FakeCluster(["c"]), other)
    with pytest.raises(InputError, match="other options than the first file"):
        files.read([path, str(tmp_path / "bf16.jsonl")])
