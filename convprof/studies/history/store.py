"""The store of saved runs: an SQLite database that several processes may write at once.

A run is one transaction: it is in the store as a whole or not at all, whatever ends the process.
The rollback journal also works on network file systems, and reading needs no write access (a
write-ahead log needs both: memory that all processes share, and a file of it next to the store).
A database is data from a stranger: its values are checked when they are read, and documents are
parsed like files.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sqlite3
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convprof.errors import ConvprofError, InputError
from convprof.json_checks import count, positive, text
from convprof.studies.history.points import COLUMNS, Point, read_point

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_BYTES = 256 << 20
"""Of a document, uncompressed."""
_VERSION = 1
_WAIT_S = 30.0
"""How long a process waits for another one that writes; a transaction takes milliseconds."""
_REFERENCE = re.compile(r"([A-Za-z][\w.-]{0,63})(?:~(\d{1,6}))?")
LAST = "last"
"""The name of the newest run, whatever its name is."""
_OTHER_FILE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""Results of SQLite: no database, and a database without our tables."""
_TABLES = (
    """CREATE TABLE runs (id INTEGER PRIMARY KEY, name TEXT NOT NULL, saved_s REAL NOT NULL,
    machine TEXT NOT NULL, brand TEXT, document BLOB NOT NULL)""",
    "CREATE INDEX runs_by_name ON runs (name, id)",
    f"CREATE TABLE points ({', '.join(COLUMNS)}, best INTEGER NOT NULL)",
    "CREATE INDEX best_points ON points (problem) WHERE best",
    "CREATE INDEX points_by_strategy ON points (strategy)",
    f"PRAGMA user_version = {_VERSION}",
)


def path() -> Path:
    """Return the file of the store, in the user's folder for data."""
    named = Path(os.environ.get("XDG_DATA_HOME", ""))
    try:
        if named.is_absolute():
            folder = named
        elif sys.platform == "win32":
            folder = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            folder = Path.home() / "Library" / "Application Support"
        else:
            folder = Path.home() / ".local" / "share"
    except (RuntimeError, OSError, KeyError):  # no HOME, and no entry of the user in passwd
        raise InputError("there is no folder for saved runs: set XDG_DATA_HOME") from None
    return folder / "convprof" / "history.sqlite"


def check_name(name: str) -> None:
    """Raise InputError unless runs can be saved under a name."""
    match = _REFERENCE.fullmatch(name)
    if match is None or match[2] is not None or name == LAST:
        raise InputError(
            f"a letter, then letters, digits, '.', '_' and '-', at most 64, and not {LAST!r}",
            field="save",
            value=name,
        )


def add(
    name: str, data: bytes, machine: tuple[str, str | None], rows: Sequence[tuple[Point, bool]]
) -> None:
    """Save the JSON of a document with its points; ConvprofError in one line if that fails.

    ``machine``: its key and its name.
    """
    where = path()
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        with _opened(where) as connection:
            _without_log(connection)
            _insert(connection, (name, time.time(), *machine, zlib.compress(data, 6)), rows)
    except (sqlite3.Error, OSError) as error:
        raise ConvprofError(f"the run was not saved in {where}: {error}") from None


def _insert(
    connection: sqlite3.Connection, run: tuple[Any, ...], rows: Sequence[tuple[Point, bool]]
) -> None:
    with _transaction(connection):
        if not _version(connection):
            for statement in _TABLES:
                connection.execute(statement)
        number = connection.execute(
            "INSERT INTO runs (name, saved_s, machine, brand, document) VALUES (?, ?, ?, ?, ?)", run
        ).lastrowid
        marks = ", ".join("?" * (len(COLUMNS) + 1))
        connection.executemany(
            f"INSERT INTO points VALUES ({marks})",  # noqa: S608  # the text has no value
            [(number, *point.row(), is_best) for point, is_best in rows],
        )


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run statements as a whole; the lock for writing is taken first, so that none is in vain."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back itself
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextlib.contextmanager
def _opened(where: Path) -> Iterator[sqlite3.Connection]:
    """Open the store, also a file that cannot be written; InputError for a newer version."""
    connection = sqlite3.connect(where, timeout=_WAIT_S, isolation_level=None)
    try:
        if _version(connection) > _VERSION:
            raise InputError(f"{where}: a newer convprof wrote it")
        connection.execute("PRAGMA synchronous = FULL")
        yield connection
    finally:
        connection.close()


def _version(connection: sqlite3.Connection) -> int:
    """Return the version of the tables; 0 before the first run is saved."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _without_log(connection: sqlite3.Connection) -> None:
    """Switch the store of an older convprof from the write-ahead log to the journal, once."""
    if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        with contextlib.suppress(sqlite3.OperationalError):  # in use: the next run switches
            connection.execute("PRAGMA journal_mode = DELETE")


@contextlib.contextmanager
def _read() -> Iterator[sqlite3.Connection | None]:
    """Open the store, None before the first run is saved; InputError if that fails."""
    where = path()
    try:
        if not where.is_file():
            yield None
            return
        with _opened(where) as connection:
            yield connection if _version(connection) else None
    except OSError as error:
        raise InputError(f"{where}: cannot be read: {error.strerror}") from None
    except sqlite3.Error as error:  # without a code where Python cannot decode a text
        other = getattr(error, "sqlite_errorcode", 0) & 0xFF in _OTHER_FILE
        what = "not a store of saved runs" if other else "cannot be read"
        raise InputError(f"{where}: {what}: {error}") from None


# Removing.


@dataclass(frozen=True, slots=True)
class Run:
    """A run in the store."""

    run: int
    name: str
    saved_s: float


def remove(reference: str | None, before_s: float | None) -> tuple[list[Run], int]:
    """Remove runs in one transaction; return them, the oldest first, and how many are left.

    ``reference``: NAME or NAME~1, one run; with ``before_s``, seconds since 1970, NAME means all
    its runs that were saved before. InputError if there is no such run; ConvprofError in one line
    if the store cannot be written.
    """
    where = path()
    if not where.is_file():
        raise InputError("no run is saved yet")
    try:
        with _opened(where) as connection, _transaction(connection):
            runs = _chosen(connection, reference, before_s)
            _delete(connection, runs)
            left = count(connection.execute("SELECT COUNT(*) FROM runs").fetchone()[0], 0)
        _shrink(where)
    except (sqlite3.Error, OSError) as error:
        raise ConvprofError(f"no run was removed from {where}: {error}") from None
    return runs, left


def _delete(connection: sqlite3.Connection, runs: Sequence[Run]) -> None:
    """Delete runs and their points, each table in one pass: points have no index by run."""
    connection.execute("CREATE TEMP TABLE removed (id INTEGER PRIMARY KEY)")
    connection.executemany("INSERT INTO removed VALUES (?)", [(run.run,) for run in runs])
    connection.execute("DELETE FROM points WHERE run IN (SELECT id FROM removed)")
    connection.execute("DELETE FROM runs WHERE id IN (SELECT id FROM removed)")


def _chosen(
    connection: sqlite3.Connection, reference: str | None, before_s: float | None
) -> list[Run]:
    conditions, values, end = [], [], "ORDER BY id"
    if reference is not None:
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            raise InputError("write NAME or NAME~1", field="forget", value=reference)
        if match[1] != LAST:
            conditions.append("name = ?")
            values.append(match[1])
        if before_s is None:
            end = f"ORDER BY id DESC LIMIT 1 OFFSET {int(match[2] or 0)}"
        elif match[2] is not None or match[1] == LAST:
            raise InputError("with an age name all runs: NAME", field="forget", value=reference)
    if before_s is not None:
        conditions.append("saved_s < ?")
        values.append(before_s)
    query = f"SELECT id, name, saved_s FROM runs WHERE {' AND '.join(conditions or ['1'])} {end}"  # noqa: S608
    rows = connection.execute(query, values) if _version(connection) else ()
    runs = [Run(count(run), text(name), positive(saved_s)) for run, name, saved_s in rows]
    if not runs:
        reason = "no such run is saved; convprof history lists them"
        raise InputError(reason, field="older" if reference is None else "forget", value=reference)
    return runs


def _shrink(where: Path) -> None:
    """Give the space of removed runs back; another process may be reading, then the next time."""
    with contextlib.suppress(sqlite3.Error), _opened(where) as connection:
        connection.execute("VACUUM")


# Reading.


@dataclass(frozen=True, slots=True)
class Saved:
    """A point, and the run that measured it."""

    run: int
    saved_s: float
    name: str
    machine: str
    brand: str | None
    point: Point


def has_runs() -> bool:
    """Whether a run is saved; InputError if the store cannot be read."""
    with _read() as connection:
        return connection is not None


def saved(problem: str | None, strategy: str | None) -> list[Saved]:
    """Return the points of problems, the oldest first.

    ``problem``: a descriptor or name, * and ? allowed. Without ``strategy`` the fastest measurement
    of each run, for each type, number of threads and state of the caches.
    """
    columns = ", ".join(f"points.{name}" for name in COLUMNS[1:])
    where, values = ["best" if strategy is None else "strategy = ?"], []
    values += [] if strategy is None else [strategy]
    if problem is not None:
        where.append("(problem GLOB ? OR problem_name GLOB ?)")
        values += [problem, problem]
    query = (
        f"SELECT runs.id, runs.name, saved_s, machine, brand, {columns} FROM points "  # noqa: S608
        f"JOIN runs ON runs.id = run WHERE {' AND '.join(where)} ORDER BY runs.id"
    )
    with _read() as connection:
        if connection is None:
            raise InputError("no run is saved yet")
        return [_saved(row) for row in connection.execute(query, values)]


def _saved(row: tuple[Any, ...]) -> Saved:
    run, name, saved_s, machine, brand, *labels, seconds, share = row
    point = read_point(labels, seconds, share)
    return Saved(count(run), positive(saved_s), *_origin(name, machine, brand), point)


@functools.lru_cache(maxsize=1 << 12, typed=True)
def _origin(name: Any, machine: Any, brand: Any) -> tuple[str, str, str | None]:
    """Return the checked name and machine: thousands of rows share a few of them."""
    return text(name), text(machine), None if brand is None else text(brand)


def is_reference(text: str) -> bool:
    """Whether a text can be a saved run: NAME or NAME~1, no path."""
    return _REFERENCE.fullmatch(text) is not None


def document(reference: str) -> bytes | None:
    """Return the JSON of a saved run: NAME, the newest one, or NAME~1, the run before.

    None for a text that is no reference, and without such a run.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        return None
    name, back = match[1], int(match[2] or 0)
    of_name, values = ("", []) if name == LAST else ("WHERE name = ?", [name])
    query = f"SELECT document FROM runs {of_name} ORDER BY id DESC LIMIT 1 OFFSET ?"  # noqa: S608
    with _read() as connection:
        row = None if connection is None else connection.execute(query, [*values, back]).fetchone()
    return None if row is None else _decompressed(row[0])


def _decompressed(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise InputError("a saved document is not stored as bytes")
    try:
        return zlib.decompressobj().decompress(value, MOST_BYTES + 1)
    except zlib.error:
        raise InputError("a saved document is damaged") from None
