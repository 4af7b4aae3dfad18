"""The file of a fleet: a header, and a line for each problem on each host, as they arrive."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from convprof.dtypes import types
from convprof.errors import InputError
from convprof.json_checks import array, count, mapping, text, words
from convprof.results import envelope, plain
from convprof.studies import reading
from convprof.studies.fleet import choices
from convprof.studies.fleet.reply import Reply, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from convprof.studies.journal import Journal, Record

KIND = "fleet"


@dataclass(frozen=True)
class Part:
    """A problem on a host."""

    index: int
    """The place of the problem in the suite."""
    problem: dict[str, Any]
    count: int
    """How often the suite has the problem."""
    host: str
    is_control: bool = False
    """Whether another of several identical hosts has measured the problem before."""
    dtype: str = ""
    """The element types; empty in a file of an older version, whose options have them."""


def identity(
    suite: Sequence[Part], options: Mapping[str, Any], by: str, *, spread: bool = False
) -> Record:
    """Return what must be the same for a file to be continued.

    Problems count with all that is sent to a host, such as their types, epilogues and weights.
    """
    listed = [[part.problem, part.dtype, part.count] for part in suite]
    digest = hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()
    command = {
        "command": "fleet run",
        "problems": len(suite),
        "sha256": digest,
        "by": by,
        "spread": spread,
    }
    return envelope(KIND, command=command, options=dict(options))


def header(known: Record) -> Record:
    """Return the first line."""
    return {**known, "started": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")}


def difference(journal: Journal, known: Record) -> str | None:
    """Return why a command cannot continue the file; None if it can."""
    stored = journal.differs(known)
    if stored is not None and "sha256" in stored:
        return "its problems are not this command's problems"
    return stored or further_options(journal, known)


def further_options(journal: Journal, known: Record) -> str | None:
    """Return the option that the file's command had and this one has not; None without one."""
    stored = mapping((journal.header or {}).get("options"))
    for name in sorted(stored.keys() - known["options"].keys()):
        values = " ".join(map(text, array(stored[name])))
        return f"its hosts measured with {text(name)} {values}".rstrip() + ", here without"
    return None


def record(part: Part, reply: Reply) -> Record:
    """Return the line of a problem on a host."""
    fields: Record = plain(
        {
            "index": part.index,
            "host": part.host,
            "problem": part.problem,
            "dtype": part.dtype,
            "count": part.count,
            "control": part.is_control,
            "status": reply.status,
            "reason": reply.reason,
            "document": reply.document and reply.document.to_json(),
            **({"choices": list(reply.choices)} if reply.choices else {}),
        }
    )
    return fields


def read(value: Any, problems: int) -> tuple[Part, Reply]:
    """Return the content of a line; ``problems``: how many the suite has."""
    fields = mapping(value)
    index = count(fields.get("index"), 0)
    if index >= problems:
        raise InputError("it belongs to no problem of its command")
    problem = reading.problem(fields.get("problem"))
    reading.check_shown(problem)
    host, is_control = text(fields.get("host")), fields.get("control") is True
    part = Part(index, problem, count(fields.get("count")), host, is_control, dtype_of(fields))
    status: Status = reading.one_of(fields.get("status"), get_args(Status), "status")
    reason = None if fields.get("reason") is None else words(fields["reason"])
    document = None
    if fields.get("document") is not None:
        document = reading.document(fields["document"])
    elif status == "finished":
        raise InputError("its result is missing")
    return part, Reply(status, reason, document, tuple(choices.read(fields.get("choices", []))))


def dtype_of(fields: dict[str, Any]) -> str:
    """Return the element types of a line; empty for an older version; InputError if unknown."""
    return types(text(fields["dtype"])).name if fields.get("dtype") else ""


def is_spread(head: Record) -> bool:
    """Whether each problem was measured on one of several identical hosts, from the header."""
    return mapping(head.get("command")).get("spread") is True


def size(head: Record) -> int:
    """Return the number of problems of the suite, from the header."""
    return count(mapping(head.get("command")).get("problems"))


def lines(journal: Journal) -> Iterator[tuple[Part, Reply]]:
    """Yield the lines of a file, one at a time in memory; InputError for a damaged one."""
    problems = size(journal.header or {})
    for number, value in enumerate(journal.records(), 2):
        try:
            yield read(value, problems)
        except (InputError, LookupError) as error:
            raise journal.damaged(f"line {number} is damaged: {error}") from None
