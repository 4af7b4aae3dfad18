"""A file of JSON lines that grows while measuring: a header, then a record per line.

A record is on the disk before the next one is begun. If the process is killed, the start of a line
without its end may remain; it is dropped when the file is opened again.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from convprof.errors import ConvprofError, InputError, one_line
from convprof.json_checks import decoded, mapping
from convprof.results import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

MOST_BYTES = 1 << 30
MOST_LINE_BYTES = 1 << 24
_START = b'{"schema_version": '
"""The beginning of a header: a file whose only line is incomplete is ours if it begins so."""

Record = dict[str, Any]


def whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines that follow; an incomplete last line is dropped.

    InputError for a line over ``MOST_LINE_BYTES``, or a file over ``MOST_BYTES``.
    """
    while line := file.readline(MOST_LINE_BYTES + 1):
        if not line.endswith(b"\n"):
            if len(line) > MOST_LINE_BYTES:
                raise InputError(f"it has a line over {MOST_LINE_BYTES:,} bytes")
            return
        if file.tell() > MOST_BYTES:
            raise InputError(f"larger than {MOST_BYTES >> 20} MiB")
        yield line


class Journal:
    """One open file. Use it in a `with` block; `header` is None for a file just begun."""

    def __init__(
        self, path: str, kind: str, shown: str | None = None, way_out: str = "Name another file"
    ) -> None:
        """Open or create the file.

        `kind` must be the value of the header's field of that name. InputError for a file of
        another kind, a damaged or oversize one, or one that another process is writing; `shown` is
        the name of the file in the error, and `way_out` what to do.
        """
        self.path, self._kind = path, kind
        self._shown, self._way_out = one_line(shown or path), way_out
        self._file = self._open()
        self._end = 0
        """Bytes that are known to be whole lines."""
        self.header: Record | None = None
        try:
            self._lock()
            while self._replaced():  # the process that held the lock has removed the file
                self._file.close()
                self._file = self._open()
                self._lock()
            self._scan()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        """Return the journal."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._file.close()

    def begin(self, header: Record) -> None:
        """Write the first line; its first field must be `schema_version`."""
        self._write([header])
        self.header = header
        sync_folder(self.path)

    def append(self, record: Record) -> None:
        """Write a record; ConvprofError if it cannot be written."""
        self._write([record])

    def append_all(self, records: Sequence[Record]) -> None:
        """Write records that are on the disk together; ConvprofError if that is not possible."""
        if records:
            self._write(records)

    def records(self) -> Iterator[Record]:
        """Yield the records in the order of the file, one at a time in memory."""
        lines = self._lines()
        next(lines, None)
        yield from lines

    def damaged(self, reason: str) -> InputError:
        """Return the error that says that the file cannot be continued."""
        return InputError(one_line(f"{reason}. {self._way_out}"), field="json", value=self._shown)

    def remove(self) -> None:
        """Delete the file: its contents are elsewhere by now."""
        with contextlib.suppress(OSError):
            Path(self.path).unlink()

    def clear(self) -> None:
        """Remove the contents of the file."""
        self._file.truncate(0)
        self._end, self.header = 0, None

    def differs(self, identity: Record) -> str | None:
        """Return where the header differs from the wanted one, `seed 1, here 2`; None: nowhere.

        Of a part that is an object, the fields wanted are compared.
        """
        header = self.header or {}
        for part, value in identity.items():
            stored = header.get(part)
            if not isinstance(value, dict):
                if stored != value:
                    return f"its {part} is {_short(stored)}, here {_short(value)}"
                continue
            for key, item in value.items():
                other = stored.get(key) if isinstance(stored, dict) else None
                if other != plain(item):
                    what = "machine" if part == "machine" else key
                    return (
                        f"it is of another {self._kind}: "
                        f"{what} {_short(other)}, here {_short(item)}"
                    )
        return None

    def _replaced(self) -> bool:
        """Whether the name no longer means the open file."""
        try:
            return not os.path.samestat(os.stat(self.path), os.fstat(self._file.fileno()))  # noqa: PTH116
        except OSError:
            return True

    def _open(self) -> BinaryIO:
        try:
            descriptor = os.open(
                self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"cannot be written: {reason}", field="json", value=self._shown
            ) from None
        file = os.fdopen(descriptor, "r+b", buffering=0)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            file.close()
            raise self.damaged("it is not a regular file, and it has to be read back")
        return file

    def _lock(self) -> None:
        """Refuse a file that another process is writing, where the system can tell."""
        try:
            import fcntl
        except ImportError:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self.damaged("another process is writing it") from None
        except OSError:  # a file system without locks
            return

    def _scan(self) -> None:
        """Read the header, check every line, drop an unfinished one at the end."""
        size = self._file.seek(0, os.SEEK_END)
        if size > MOST_BYTES:
            raise self.damaged(f"it has {size:,} bytes, more than {MOST_BYTES:,}")
        self._file.seek(0)
        first = self._file.read(min(size, len(_START)))
        if not _START.startswith(first):
            raise self.damaged(f"it is not a {self._kind}'s file")
        self._end = size
        whole = 0
        for number, (record, end) in enumerate(self._parsed(), 1):
            if record is None:
                raise self.damaged(f"line {number} is damaged")
            if number == 1:
                if record.get("kind") != self._kind:
                    raise self.damaged(f"it is not a {self._kind}'s file")
                self.header = record
            whole = end
        self._end = whole
        self._file.truncate(whole)

    def _parsed(self) -> Iterator[tuple[Record | None, int]]:
        """Yield each whole line, None for one that is no JSON object, and where it ends."""
        with Path(self.path).open("rb") as file:
            while file.tell() < self._end:
                line = file.readline(MOST_LINE_BYTES + 1)
                if len(line) > MOST_LINE_BYTES:
                    raise self.damaged(f"it has a line over {MOST_LINE_BYTES:,} bytes")
                if not line.endswith(b"\n"):
                    return
                record: Record | None = None
                with contextlib.suppress(InputError):
                    record = mapping(decoded(line, MOST_LINE_BYTES))
                yield record, file.tell()

    def _lines(self) -> Iterator[Record]:
        for record, _ in self._parsed():
            if record is not None:  # all were checked when the file was opened
                yield record

    def _write(self, records: Sequence[Record]) -> None:
        texts = (json.dumps(each, allow_nan=False, ensure_ascii=False) for each in records)
        data = b"".join(t.encode("utf-8", errors="backslashreplace") + b"\n" for t in texts)
        try:
            self._file.seek(self._end)
            written = self._file.write(data)
            while written < len(data):
                written += self._file.write(data[written:])
            os.fsync(self._file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self._end)
            raise ConvprofError(f"{self.path}: cannot be written: {error.strerror}") from None
        self._end += len(data)


def sync_folder(path: str) -> None:
    """Let the name of a file survive a power failure, where the system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(os.path.dirname(path) or ".", os.O_RDONLY)  # noqa: PTH120
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _short(value: Any) -> str:
    """Return a value for an error: a long list by its ends, a problem by its text."""
    if isinstance(value, dict):
        return str(value.get("descriptor"))[:60]
    if isinstance(value, list):
        first = ",".join(str(item) for item in value[:4])
        return f"{first},..,{value[-1]} ({len(value)})"[:80] if len(value) > 4 else first[:80]  # noqa: PLR2004
    return str(value)[:60]
