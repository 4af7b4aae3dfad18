"""The answer that a document has: sentences, and a next command that is safe to recommend."""

from __future__ import annotations

import re
import shlex
from typing import Any

from convprof.json_checks import array, mapping, words
from convprof.studies.answer import MOST_SENTENCES, Answer

_COMMANDS = frozenset(
    ("ceilings", "compare", "explain", "history", "instructions", "ladder", "roofline", "run",
     "show", "study", "sweep")
)  # fmt: skip
"""Commands that run no program of the user."""
_OPTIONS = frozenset(
    ("--asm", "--cache", "--dtype", "--epilogue", "--explain", "--group", "--isa", "--layout",
     "--match", "--over", "--pass", "--range", "--size", "--strategy", "--threads", "--wait-idle",
     "--weight-dtype", "--why", "-l", "-s", "-t")
)  # fmt: skip
"""Options that write no file."""
_WORD = re.compile(r"[\w.,:+~%^*-]+")


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
    return Answer(sentences, measuring_only(command)) if sentences else None


def measuring_only(command: str) -> str:
    """Return a command line that only measures, with its words quoted; empty for any other."""
    try:
        program, name, *rest = shlex.split(command)
    except ValueError:  # an open quote, or fewer than two words
        return ""
    if program != "convprof" or name not in _COMMANDS:
        return ""
    known = all(word in _OPTIONS for word in rest if word.startswith("-"))
    shown = all(_WORD.fullmatch(word) for word in rest)
    return shlex.join([program, name, *rest]) if known and shown else ""
