"""Standard streams whose write errors are recorded, and the command continues.

A full disk, a closed stream or a reader that has ended must not lose results in other places.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

_STANDARD = (0, 1, 2)


class Guarded(io.TextIOBase):
    """A standard stream; after the first write that fails, all text is dropped."""

    def __init__(self, stream: TextIO | None, name: str) -> None:
        """``stream``: None if the process was started with the stream closed."""
        self._stream = stream
        self._name = name
        self._closed_before = stream is None
        self._reason: str | None = None
        self._asked = False
        """Whether anything was written."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """The stream's own treatment of characters that it cannot encode."""
        return getattr(self._stream, "errors", None) or "strict"

    @property
    def lost(self) -> str | None:
        """Why written text is not in the stream; None if all text is."""
        if self._closed_before:
            return "it is closed" if self._asked else None
        return self._reason

    @property
    def closed_before(self) -> bool:
        """Whether the stream was closed when the process began."""
        return self._closed_before

    def __del__(self) -> None:
        """Do nothing: the stream belongs to Python, and modules may be unloaded already."""

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return self._stream is not None and self._stream.isatty()
        return False

    def fileno(self) -> int:
        """Return the descriptor; OSError (``UnsupportedOperation``) without one."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write the text with readable replacements for what the encoding lacks."""
        if not isinstance(text, str):
            raise TypeError(f"text expected, not {type(text).__name__}")
        self._asked = self._asked or bool(text)
        if self._stream is not None and self._reason is None:
            try:
                self._stream.write(self._encodable(text))
            except (OSError, ValueError) as error:
                self._give_up(error)
        return len(text)

    def _encodable(self, text: str) -> str:
        if text.isascii():
            return text  # imported late: --help needs no tables of characters
        from convprof.render.characters import encodable

        return encodable(text, self.encoding, self.errors)

    def flush(self) -> None:
        """Flush the stream."""
        if self._stream is not None and self._reason is None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        gone = isinstance(error, OSError) and error.errno == errno.EPIPE
        reason = getattr(error, "strerror", None) or str(error)
        self._reason = "the reader has gone" if gone else reason
        # Python flushes the stream again at exit: the rest is dropped.
        with contextlib.suppress(OSError, ValueError):
            target = self.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, target)
            os.close(nowhere)


@contextlib.contextmanager
def guarded() -> Iterator[tuple[Guarded, Guarded]]:
    """Replace stdout and stderr by guarded streams; yield them."""
    before = sys.stdout, sys.stderr
    out, err = Guarded(before[0], "stdout"), Guarded(before[1], "stderr")
    sys.stdout, sys.stderr = out, err
    try:
        yield out, err
    finally:
        sys.stdout, sys.stderr = before


def occupy_closed() -> None:
    """Open the null device where a standard descriptor is closed.

    Otherwise the next opened file would get this number, and a library that prints would write into
    a result file.
    """
    for number in _STANDARD:
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)


@contextlib.contextmanager
def data_alone() -> Iterator[None]:
    """Reserve stdout for this program's own text; text that libraries print goes to stderr.

    oneDNN and MKL write their logs (``ONEDNN_VERBOSE``, ``MKL_VERBOSE``) to descriptor 1 from C,
    which would be in the middle of a document on stdout.
    """
    import ctypes

    before = sys.stdout
    try:
        if before.fileno() != 1:
            raise io.UnsupportedOperation("another stream is in its place")
        before.flush()
        saved = os.dup(1)
    except (OSError, ValueError, AttributeError):  # no stdout, or a stream without a descriptor
        yield
        return
    os.dup2(2, 1)
    sys.stdout = os.fdopen(
        saved, "w", encoding=before.encoding, errors=before.errors, closefd=False
    )
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        with contextlib.suppress(OSError, AttributeError, TypeError):
            ctypes.CDLL(None).fflush(None)  # text still in C's buffer must not reach stdout either
        sys.stdout = before
        os.dup2(saved, 1)
        os.close(saved)


def stdout_lost() -> bool:
    """Whether stdout has failed: no reader is left."""
    # Rich's wrapper, while progress is shown
    stream = getattr(sys.stdout, "rich_proxied_file", sys.stdout)
    return isinstance(stream, Guarded) and stream.lost is not None
