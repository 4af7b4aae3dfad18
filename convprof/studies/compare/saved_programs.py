"""Times of whole programs out of the document of ``compare commands --command``."""

from __future__ import annotations

from string import ascii_uppercase
from typing import Any

from convprof.errors import InputError
from convprof.json_checks import array, mapping, number, positive, words
from convprof.measure.programs import ProgramRun
from convprof.studies.compare.programs import Program, Programs, Settings

_MOST_ROUNDS = 10_000


def read(fields: dict[str, Any]) -> Programs:
    """Return the programs and their runs; InputError says what is wrong with the document."""
    programs = [_program(mapping(item)) for item in array(fields.get("programs"))]
    names = [program.name for program in programs]
    if len(names) < 2 or names != list(ascii_uppercase[: len(names)]):  # noqa: PLR2004
        raise InputError("its programs are not A, B, …")
    return Programs(programs, Settings(), {})


def _program(fields: dict[str, Any]) -> Program:
    rounds = array(fields.get("rounds_s"))
    if len(rounds) > _MOST_ROUNDS:
        raise InputError("a program has far too many rounds")
    seconds = [positive(value) for value in rounds]
    processor, reason = fields.get("processor_s"), fields.get("reason")
    processor_s = 0.0 if processor is None else number(processor)
    return Program(
        name=words(fields.get("name")),
        command=words(fields.get("command")),
        words=(),
        runs={at: ProgramRun(each, processor_s) for at, each in enumerate(seconds)},
        reason=None if reason is None else words(reason),
    )
