"""Files of ``fleet run`` as a table; the files may come from strangers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.json_checks import decoded, mapping
from convprof.studies import reading, versions
from convprof.studies.fleet import records
from convprof.studies.fleet.table import Table
from convprof.studies.journal import MOST_LINE_BYTES, whole_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from convprof.studies.fleet.records import Part
    from convprof.studies.fleet.reply import Reply


def read(paths: Iterable[str]) -> Table:
    """Return what is in the files of ``fleet run``; InputError in one line for another file."""
    table, heads = Table(), list[dict[str, Any]]()
    for path in paths:
        reading.from_file(path, lambda file, _: _add_file(table, heads, file))
    return table


def _add_file(table: Table, heads: list[dict[str, Any]], file: BinaryIO) -> None:
    """Add the lines of a file; InputError if its options are not the ones of the first file."""
    first = head(file)
    heads.append(first)
    if records.is_spread(first) != records.is_spread(heads[0]):
        raise InputError("its hosts did not divide the suite as in the first file: show it alone")
    if first.get("options") != heads[0].get("options"):
        raise InputError("its hosts measured with other options than the first file: show it alone")
    table.problems = max(table.problems, records.size(first))
    table.spread = table.spread or records.is_spread(first)
    for part, reply in parts(first, file):
        table.add(part, reply)


def of_lines(head: dict[str, Any], lines: Iterable[tuple[Part, Reply]]) -> Table:
    """Return the table of the lines of an open file."""
    table = Table(records.size(head), records.is_spread(head))
    for part, reply in lines:
        table.add(part, reply)
    return table


def of_file(head: dict[str, Any], file: BinaryIO) -> Table:
    """Return the table of a file whose header was read."""
    return of_lines(head, parts(head, file))


def head(file: BinaryIO) -> dict[str, Any]:
    """Return the header of a file of ``fleet run``."""
    first = mapping(decoded(file.readline(MOST_LINE_BYTES + 1), MOST_LINE_BYTES))
    versions.of(first)
    if first.get("kind") != records.KIND:
        raise InputError("it is not of the kind 'fleet'")
    return first


def parts(head: dict[str, Any], file: BinaryIO) -> Iterator[tuple[Part, Reply]]:
    """Yield the lines after the header; an incomplete last line is dropped."""
    problems = records.size(head)
    for number, line in enumerate(whole_lines(file), 2):
        try:
            yield records.read(decoded(line, MOST_LINE_BYTES), problems)
        except (InputError, LookupError) as error:
            raise InputError(f"line {number} is damaged: {error}") from None
