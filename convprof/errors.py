"""Every error a user can cause, in one tree.

    ConvprofError               exit 1  something failed at run time
    ├── ToolchainError                  numba or LLVM is absent, broken, too old or not allowed
    ├── ThreadsError                    the system allows no more threads
    └── InputError              exit 2  a flag, a field or a file is wrong
        ├── ProblemError                a shape that cannot be computed
        ├── DescriptorError             a PROBLEM text that cannot be read
        │   └── NotComputedError        a text that means something convprof does not compute
        ├── UnknownNameError            no strategy, network or layer of that name
        ├── RefusedError                the strategy cannot do this problem; says why
        └── TooLargeError               the buffers exceed the available memory

The message is one line that names the flag or the field, the value and the way out.
A strategy that computes a wrong result is not an exception but a measurement with
``status: wrong`` (exit 3); a regression is a verdict (exit 4).
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def one_line(text: str) -> str:
    """Return a text in which nothing can command a terminal or begin another line."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


_MOST_NAMES = 20
"""Names that an error lists when none is near."""
_NEAR = 0.6
"""How alike a name has to be to be what was meant: below, it is another word."""


class ConvprofError(Exception):
    """Base of every error that convprof raises on purpose."""

    exit_code = 1


class ToolchainError(ConvprofError):
    """Numba or LLVM is absent, broken, too old or not allowed to run: no kernel can be made."""


class ThreadsError(ConvprofError):
    """The system allows this process no more threads."""

    @classmethod
    def of(cls, threads: int) -> ThreadsError:
        """Build the message for a team of so many threads."""
        return cls(
            f"the system does not allow this process {threads} threads: raise the limit "
            f"(ulimit -u, pids.max) or use fewer --threads"
        )


class InputError(ConvprofError):
    """A flag, a field or a file is wrong; the message names the way out."""

    exit_code = 2


class ProblemError(InputError, ValueError):
    """A shape that cannot be computed."""


class DescriptorError(InputError, ValueError):
    """A PROBLEM text that cannot be read."""


class NotComputedError(DescriptorError):
    """A text that means something convprof does not compute: a file of problems goes on after it.

    ``group`` is a short reason under which a file's report counts such texts.
    """

    def __init__(self, message: str, group: str) -> None:
        super().__init__(message)
        self.group = group


class UnknownNameError(InputError, LookupError):
    """No strategy, network or layer of that name."""

    @classmethod
    def of(
        cls, kind: str, name: str, known: Iterable[str], listed: Iterable[str] | None = None
    ) -> UnknownNameError:
        """Build the message ``unknown KIND 'NAME'`` with the nearest known names.

        Where none is near, ``listed`` are shown, in this order; without it all that are known.
        """
        names = sorted(set(known))
        near = difflib.get_close_matches(name, names, n=3, cutoff=_NEAR)
        first = names[:_MOST_NAMES] if listed is None else list(listed)
        shown = ", ".join(first) + (", ..." if len(first) < len(names) else "")
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {shown}"
        return cls(f"unknown {kind} {name!r}: {hint}")


class RefusedError(InputError):
    """The strategy cannot do this problem; the message says why."""


class TooLargeError(InputError, MemoryError):
    """The buffers exceed the available memory."""
