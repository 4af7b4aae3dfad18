"""What a task is asked: JSON that can name a problem and options, and nothing else."""

from __future__ import annotations

import dataclasses
import json

import pytest

from convprof.errors import InputError
from convprof.problems import parse
from convprof.problems.epilogue import Epilogue
from convprof.problems.gradients import passes_of
from convprof.studies.fleet import request
from convprof.studies.fleet.request import Request

CONV = parse("mb1ic4ih6oc4kh3ph1")


def asked(problem, **options):
    return Request(request.described(problem), "a", "machine", 5.0, options)


@pytest.mark.parametrize(
    "problem",
    [
        CONV,
        CONV.with_epilogue(Epilogue.parse("bias,relu")),
        *passes_of(CONV, "training"),
        parse("3x4:4x5"),
        parse("attention:1x2x3x4"),
    ],
    ids=lambda p: f"{p.kind} {p.epilogue.text if hasattr(p.epilogue, 'text') else ''}",
)
def test_a_request_is_the_same_after_its_way(problem):
    sent = asked(problem, strategy=("naive,auto",), retune=())
    assert request.read(sent.to_json()) == dataclasses.replace(sent, problem=sent.problem)


def test_the_words_are_a_command_line():
    sent = asked(CONV.with_epilogue(Epilogue.parse("bias")), strategy=("a,b",), retune=())
    assert sent.words() == [
        *("run", "--epilogue", "bias", "--strategy=a,b", "--retune", "--"),
        CONV.descriptor,
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"options": {"json": ["/etc/passwd"]}}, "no option 'json'"),
        ({"options": {"strategy": "naive"}}, "a list is missing"),
        ({"problem": {"kind": "gemm", "descriptor": "; rm"}}, "rm"),
        ({"limit_s": 0}, "not above 0"),
        ({"host": "\x1b[2J"}, "not printable"),
    ],
)
def test_another_request_is_refused(changes, reason):
    fields = {**json.loads(asked(CONV).to_json()), **changes}
    with pytest.raises(InputError, match=reason):
        request.read(json.dumps(fields))
