from __future__ import annotations

import copy

import pytest

from convprof.errors import InputError
from convprof.studies.compare.saved_programs import read

DOCUMENT = {
    "programs": [
        {"name": "A", "command": "old", "processor_s": 0.5, "reason": None, "rounds_s": [1.0] * 6},
        {"name": "B", "command": "new", "processor_s": 0.5, "reason": None, "rounds_s": [1.5] * 6},
        {"name": "C", "command": "no", "processor_s": None, "reason": "died", "rounds_s": []},
    ]
}


def test_the_programs_are_compared_again():
    study = read(DOCUMENT)
    assert [program.command for program in study.programs] == ["old", "new", "no"]
    (comparison,) = study.comparisons()
    assert (comparison.ratio.value, comparison.verdict) == (1.5, "slower")
    assert study.programs[0].processor_s == 0.5
    assert study.programs[2].reason == "died"


@pytest.mark.parametrize(
    ("at", "key", "value"),
    [
        (0, "name", "B"),
        (0, "rounds_s", [0]),
        (0, "rounds_s", "1"),
        (1, "rounds_s", [1.0] * 10_001),
        (1, "command", None),
        (1, "processor_s", -1),
    ],
)
def test_a_damaged_document_is_refused(at, key, value):
    damaged = copy.deepcopy(DOCUMENT)
    damaged["programs"][at][key] = value
    with pytest.raises(InputError):
        read(damaged)


def test_one_program_is_no_comparison():
    with pytest.raises(InputError):
        read({"programs": DOCUMENT["programs"][:1]})
