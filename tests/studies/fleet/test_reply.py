"""A reply is believed only if it is a result of the problem, of this version."""

from __future__ import annotations

import json

import fleets
import pytest

from convprof.results import plain
from convprof.studies.fleet import reply

PROBLEM = plain(fleets.SUITE[0].problem)


def read(document, **options):
    data = json.dumps({"status": "finished", "document": document})
    return reply.read(data, PROBLEM, "f32", **options)


def test_the_name_of_the_problem_comes_from_the_suite():
    named = {**PROBLEM, "name": "net:layer"}
    data = fleets.reply(PROBLEM)
    document = reply.read(data, named, "f32").document
    assert [m.problem["name"] for m in document.measurements] == ["net:layer"]


def test_a_result_of_another_problem_is_a_failure():
    other = fleets.measurement(plain(fleets.SUITE[1].problem))
    assert "another problem: descriptor" in read(fleets.document([other])).reason


def test_a_result_in_another_type_is_a_failure():
    other = fleets.measurement(PROBLEM, dtype="bf16")
    assert "another type: bf16" in read(fleets.document([other])).reason


def test_a_result_of_another_version_is_a_failure_unless_the_user_accepts_it():
    document = fleets.document([fleets.measurement(PROBLEM)], version="0.0.1")
    assert "convprof 0.0.1 wrote" in read(document).reason
    assert read(document, any_version=True).status == "finished"


def test_a_document_without_a_time_has_the_reason_of_its_first_failure():
    refused = fleets.measurement(PROBLEM, status="refused")
    failed = fleets.measurement(PROBLEM, status="failed", reason="SIGILL")
    answer = read(fleets.document([refused, failed]))
    assert (answer.status, answer.reason) == ("failed", "SIGILL")
    assert read(fleets.document([refused])).status == "refused"
    assert read(fleets.document([])).reason.endswith("there is no measurement in it")


@pytest.mark.parametrize("value", ["1e999", "NaN", "-1", '"1"'])
def test_numbers_that_cannot_be_are_not_believed(value):
    text = json.dumps(
        {"status": "finished", "document": fleets.document([fleets.measurement(PROBLEM)])}
    )
    text = text.replace('"median": 0.001', f'"median": {value}')
    assert reply.read(text, PROBLEM, "f32").status == "failed"
