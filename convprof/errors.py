"""Every error a user can cause, in one tree.

    ConvprofError               exit 1  something failed at run time
    ├── ToolchainError                  numba or LLVM is absent, broken, too old or not allowed
    ├── ThreadsError                    the system allows no more threads
    └── InputError              exit 2  a field or a file is wrong
        ├── ProblemError                a shape that cannot be computed
        ├── DescriptorError             a PROBLEM text that cannot be read
        │   └── NotComputedError        a text that means something convprof does not compute
        ├── UnknownNameError            no strategy, network or layer of that name
        ├── NotAResultError             a file that is not a result of convprof
        ├── RefusedError                the strategy cannot do this problem; says why
        └── TooLargeError               the buffers exceed the available memory

The message is one line that names the field, the value and the way out. An ``InputError`` keeps the
field apart, so that each interface spells it in its own way: ``threads=64`` in Python and
``--threads 64`` on the command line. No message below the command line names a flag.
A strategy that computes a wrong result is not an exception but a measurement with
``status: wrong`` (exit 3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Spelling = Callable[[str, Sequence[str]], str]
    """Writes a field with its values, or the field alone where there are no values."""


def one_line(text: str) -> str:
    """Return a text in which nothing can command a terminal or begin another line."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


_NOT_MAPPED = "failed to map segment from shared object"
"""What the loader of glibc says where memory is short, or where a disk allows no execution."""


def import_reason(error: BaseException) -> str:
    """Return in a line why an import failed: of the error that caused the others.

    Packages raise errors of many lines about the installation, whatever the cause is.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    reason = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
    return one_line(reason)


def cannot_map(reason: str) -> str | None:
    """Return what to do where a library could not be mapped into memory; None for other reasons.

    To install the package again does not help then.
    """
    if _NOT_MAPPED not in reason and not reason.startswith("MemoryError"):
        return None
    return "Give the process more memory (ulimit -v), or a disk that is not mounted noexec"


_MOST_NAMES = 20
"""Names that an error lists when none is near."""
_NEAR = 0.6
"""How alike a name has to be to be what was meant: below, it is another word."""


EXIT_FAILURE = 1
EXIT_USAGE = 2


class ConvprofError(Exception):
    """Base of every error that convprof raises on purpose."""

    exit_code = EXIT_FAILURE


class ToolchainError(ConvprofError):
    """Numba or LLVM is absent, broken, too old or not allowed to run: no kernel can be made."""


class ThreadsError(ConvprofError):
    """The system allows this process no more threads."""

    @classmethod
    def of(cls, threads: int) -> ThreadsError:
        """Build the message for that number of threads."""
        return cls(
            f"the system does not allow this process {threads} threads: raise the limit "
            f"(ulimit -u, pids.max) or use fewer threads"
        )


class InputError(ConvprofError):
    """A field or a file is wrong; the message names the way out."""

    exit_code = EXIT_USAGE

    def __init__(
        self,
        reason: str,
        *,
        field: str | None = None,
        value: object = None,
        examples: Iterable[str] = (),
        where: str = "",
    ) -> None:
        """``examples``: values of the field that would be right; ``where``: whose field it is."""
        super().__init__(reason)
        self.where = where
        self.reason = reason
        self.field = field
        self.value = None if value is None else str(value)
        self.examples = tuple(examples)

    def __str__(self) -> str:
        """Return the message as Python spells it: ``threads=64: this machine has 2 cores``."""
        return self.text(in_python)

    def text(self, spell: Spelling) -> str:
        """Return the message with the field as ``spell`` writes it."""
        text = self.reason
        if self.field is not None and self.examples:
            text = f"{text}, e.g. {spell(self.field, self.examples)}"
        elif self.field is not None:
            values = () if self.value is None else (self.value,)
            text = f"{spell(self.field, values)}: {text}"
        return f"{self.where}: {text}" if self.where else text

    def at(self, where: str) -> InputError:
        """Return the error with the place of its field, such as a file, in front."""
        place = f"{where}: {self.where}" if self.where else where
        return InputError(
            self.reason, field=self.field, value=self.value, examples=self.examples, where=place
        )

    def within(self, field: str, value: object = None) -> InputError:
        """Return the error of a field whose value has this error as a part."""
        return InputError(self.text(in_python), field=field, value=value)


MAPPINGS = ("dims",)
"""Fields that are mappings in Python, with values of the form ``NAME=SIZE``."""


def in_python(field: str, values: Sequence[str]) -> str:
    """Return ``field=value``, ``field={"name": 1}`` of a mapping, or the field alone."""
    if field in MAPPINGS and values:
        items = (value.rpartition("=") for value in values)
        return f"{field}={{{', '.join(f'{name!r}: {size}' for name, _, size in items)}}}"
    return " ".join(f"{field}={value}" for value in values) or field


class ProblemError(InputError, ValueError):
    """A shape that cannot be computed."""


class DescriptorError(InputError, ValueError):
    """A PROBLEM text that cannot be read."""


class NotComputedError(DescriptorError):
    """A text that means something convprof does not compute: a file of problems goes on after it.

    ``group`` is a short reason under which a file's report counts such texts.
    """

    def __init__(self, reason: str, group: str) -> None:
        super().__init__(reason)
        self.group = group


class UnknownNameError(InputError, LookupError):
    """No strategy, network or layer of that name."""

    @classmethod
    def of(
        cls,
        kind: str,
        name: str,
        known: Iterable[str],
        listed: Iterable[str] | None = None,
        *,
        field: str | None = None,
    ) -> UnknownNameError:
        """Build the message ``unknown KIND 'NAME'`` with the nearest known names.

        If no name is near, ``listed`` are shown, in this order; without ``listed`` all known ones.
        With ``field`` the message is ``unknown FIELD KIND 'NAME'``.
        """
        import difflib

        names = sorted(set(known))
        near = difflib.get_close_matches(name, names, n=3, cutoff=_NEAR)
        first = names[:_MOST_NAMES] if listed is None else list(listed)
        shown = ", ".join(first) + (", ..." if len(first) < len(names) else "")
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {shown}"
        if field is None:
            return cls(f"unknown {kind} {name!r}: {hint}")
        return cls(f"{kind} {name!r}: {hint}", field=field)

    def text(self, spell: Spelling) -> str:
        """Return the message; a field without a value is what is unknown."""
        if self.field is None or self.value is not None:
            return super().text(spell)
        return f"unknown {spell(self.field, ())} {self.reason}"


class NotAResultError(InputError):
    """A file that is not a result document of convprof."""


class RefusedError(InputError):
    """The strategy cannot do this problem; the message says why."""


class TooLargeError(InputError, MemoryError):
    """The buffers exceed the available memory."""
