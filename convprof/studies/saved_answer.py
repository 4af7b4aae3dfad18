"""The answer that a document has: sentences, and a next command that is safe to recommend."""

from __future__ import annotations

import re
from typing import Any

from convprof.json_checks import array, mapping, words
from convprof.studies.answer import MOST_SENTENCES, Answer

_COMMANDS = frozenset(
    ("ceilings", "compare", "explain", "history", "instructions", "ladder", "roofline", "run",
     "show", "study", "sweep")
)  # fmt: skip
"""Commands that run no program of the user."""
_OPTIONS = frozenset(
    ("--asm", "--cache", "--dtype", "--epilogue", "--group", "--isa", "--layout", "--over",
     "--pass", "--range", "--size", "--strategy", "--threads", "--wait-idle", "--weight-dtype",
     "-l", "-s", "-t")
)  # fmt: skip
"""Options that write no file."""
_WORD = re.compile(r"[\w.,:+~%-]+")


def read_answer(value: Any) -> Answer | None:
    """Return the answer of a document; None if it has none.

    The file may come from a stranger, and users paste commands: a command that is not known to
    measure only is left out.
    """
    if value is None:
        return None
    fields = mapping(value)
    sentences = tuple(words(text) for text in array(fields.get("sentences"))[:MOST_SENTENCES])
    command = "" if fields.get("command") is None else words(fields["command"])
    known = command if _measures_only(command.split(" ")) else ""
    return Answer(sentences, known) if sentences else None


def _measures_only(words_: list[str]) -> bool:
    program, *rest = words_
    if program != "convprof" or not rest or rest[0] not in _COMMANDS:
        return False
    known = all(word in _OPTIONS for word in rest if word.startswith("-"))
    return known and all(_WORD.fullmatch(word) for word in rest)
