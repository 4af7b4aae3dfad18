"""Read a convolution from benchdnn's text: ``mb1ic64ih56oc64oh56kh3ph1n"name"``.

The rules are benchdnn's (oneDNN, tests/benchdnn, ``doc/driver_conv.md``, ``str2desc``): fields in
any order, ``_`` between them ignored, ``mb`` defaults to 2, a dilation of 0 is dense. Without any
width field all widths equal the heights; with one, ``iw`` and ``kw`` are both required.
Without height fields the problem is one-dimensional. A missing output size follows from the
padding, a missing padding from the output size; with neither, the padding is 0.

The padding at the end follows from the output size, as in benchdnn, but never so much of it that
most outputs are made of padding alone: ``eh`` and ``ew`` (not benchdnn's) say that it is meant.
"""

from __future__ import annotations

import difflib
import re
from typing import NamedTuple

from convprof.errors import DescriptorError, NotComputedError
from convprof.problems.axis import Axis
from convprof.problems.checks import MAX_SIZE, read_name, shown
from convprof.problems.conv2d import Conv2d

_ROLES = "iokspde"  # input, output, kernel, stride, padding (begin), dilation, padding at the end
_KEYS = ["g", "mb", "ic", "oc", *(role + axis for role in _ROLES for axis in "dhw")]
_FIELD = re.compile(rf"({'|'.join(_KEYS)})([0-9]*)")
_WORD = re.compile(r"[A-Za-z]+")
_DEFAULT_MB = 2
_TRIVIAL = {"i": 1, "o": 1, "k": 1, "s": 1, "p": 0, "d": 0, "e": 0}

# Reasons under which the report on a shape file counts what it leaves out.
_THREE_D = "3-D convolution"
_OTHER = "not a convolution (a required field is missing)"
_INNER = "inner product"
_ZERO = "a size of 0"
_HUGE = "a size over 2**31 - 1"
_NEGATIVE = "negative padding"
_FAR = "output size that only padding gives (deconvolution?)"

Roles = dict[str, int]  # the given fields of one axis: {"i": 56, "k": 3}


class _Spatial(NamedTuple):
    """One axis with everything deduced; padding in elements."""

    axis: Axis
    begin: int
    end: int


def parse_conv2d(text: str) -> Conv2d:
    """Return the convolution that the text means.

    Raises DescriptorError naming the field, NotComputedError for a text that is not such a
    convolution, ProblemError when the shape cannot be computed.
    """
    fields, name = _scan(text)
    for key in ("ic", "oc"):
        if key not in fields:
            raise NotComputedError(f"missing {key}: ic, oc, ih and kh are required", _OTHER)
    height, width = _promote(fields)
    rows, columns = _deduce("h", height), _deduce("w", width)
    return Conv2d(
        n=fields.get("mb", _DEFAULT_MB),
        c=fields["ic"],
        h=rows.axis.size,
        w=columns.axis.size,
        k=fields["oc"],
        r=rows.axis.taps,
        s=columns.axis.taps,
        stride=(rows.axis.stride, columns.axis.stride),
        pad=(rows.begin, columns.begin, rows.end, columns.end),
        dilation=(rows.axis.dilation, columns.axis.dilation),
        groups=fields.get("g", 1),
        name=name,
    )


def size_note(text: str) -> str | None:
    """Return a line on an output size that only unusual padding gives: probably a typing error.

    ``text`` is one that ``parse_conv2d`` takes. TensorFlow's "same" padding has up to one more
    element at the end than at the beginning: that is usual.
    """
    fields, _ = _scan(text)
    for letter, roles in zip("hw", _promote(fields), strict=True):
        if "o" not in roles or "e" in roles:
            continue
        axis, begin, end = _deduce(letter, roles)
        if end > begin + 1:
            parts = " ".join(f"{r}{letter}{roles[r]}" for r in "iksp" if r in roles)
            return (
                f"o{letter}{roles['o']}: {parts} usually give o{letter}{axis.out(begin, begin)}; "
                f"computed is what is written, with {end} of padding at the end"
            )
    return None


def _scan(text: str) -> tuple[dict[str, int], str]:
    """Return the fields as written, and the name."""
    fields: dict[str, int] = {}
    at = 0
    while at < len(text):
        if text[at] == "_":
            at += 1
        elif text[at] == "n":
            return fields, read_name(text[at + 1 :])
        else:
            match = _FIELD.match(text, at)
            if match is None:
                raise DescriptorError(_unknown(text, at))
            key, digits = match.groups()
            if key in fields:
                raise DescriptorError(f"{key} at character {at + 1}: given twice; keep one")
            fields[key] = _number(key, digits, at)
            at = match.end()
    return fields, ""


def _number(key: str, digits: str, at: int) -> int:
    where = f"{key}{digits} at character {at + 1}"
    if not digits:
        raise DescriptorError(f"{where}: no number follows {key}; write e.g. {key}1")
    number = int(digits)
    if number > MAX_SIZE:
        raise NotComputedError(f"{shown(where)}: must be at most {MAX_SIZE} (2**31 - 1)", _HUGE)
    if number == 0 and key[0] not in "pde":
        raise NotComputedError(f"{where}: must be at least 1", _ZERO)
    return number


def _unknown(text: str, at: int) -> str:
    word = _WORD.match(text, at)
    if word is None:
        excerpt = shown(text[at : at + 10])
        return f"{excerpt} at character {at + 1}: expected a field such as ic64 here"
    key = word.group()
    near = difflib.get_close_matches(key.lower(), _KEYS, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {' '.join(_KEYS)}"
    return f"unknown field {shown(key)} at character {at + 1}: {hint}"


def _promote(fields: dict[str, int]) -> tuple[Roles, Roles]:
    """Return the fields of height and width, each taken from the next higher axis if absent."""
    depth, height, width = (
        {role: fields[role + letter] for role in _ROLES if role + letter in fields}
        for letter in "dhw"
    )
    if _present(depth):
        _check_flat(depth)
        if _present(height) != _present(width):
            raise NotComputedError(
                "id is given: give ih and iw as well, or leave out id, kd and od", _THREE_D
            )
        if not _present(height):
            return _TRIVIAL, _TRIVIAL
    if _present(height) and not _present(width):
        for role, value in width.items():
            if value != height.get(role, _TRIVIAL[role]):
                raise NotComputedError(
                    f"{role}w{value}: without iw and kw the width follows the height; add both",
                    _OTHER,
                )
        return height, height
    if _present(width) and not _present(height):
        return _TRIVIAL, width
    return height, width


def _present(roles: Roles) -> bool:
    """Whether an axis is given, by benchdnn's rule: stride 1 and padding 0 alone do not count."""
    return any(role in "iok" or value != _TRIVIAL[role] for role, value in roles.items())


def _check_flat(depth: Roles) -> None:
    for role in "iokpe":
        if depth.get(role, 0) > _TRIVIAL[role]:
            raise NotComputedError(
                f"{role}d{depth[role]}: 3d convolutions are not supported; "
                f"leave out the depth (or make it id1kd1)",
                _THREE_D,
            )
    for role in "ik":
        if role not in depth:
            raise NotComputedError(
                f"missing {role}d: leave out the depth or write id1kd1", _THREE_D
            )


def _deduce(letter: str, roles: Roles) -> _Spatial:
    """Return one axis with its output size and padding."""
    for role in "ik":
        if role not in roles:
            group = _OTHER if any(known in roles for known in "ksp") else _INNER
            raise NotComputedError(_missing(letter, role, roles), group)
    axis = Axis(roles["i"], roles["k"], roles.get("s", 1), roles.get("d", 0) + 1)
    out = roles.get("o")
    if out is None:
        begin = roles.get("p", 0)
        return _Spatial(axis, begin, roles.get("e", begin))
    begin = roles["p"] if "p" in roles else max(0, axis.need(out)) // 2
    end = roles["e"] if "e" in roles else axis.end_for(out, begin)
    if end is None or axis.out(begin, end) != out:
        fields = " ".join(f"{role}{letter}{roles[role]}" for role in "ikspde" if role in roles)
        least = "at least " if end is None else ""
        raise NotComputedError(
            f"o{letter}{out} does not follow: {fields} give {least}"
            f"o{letter}{axis.out(begin, end or 0)}; leave out o{letter} to have it deduced",
            _NEGATIVE if end is None else _OTHER,
        )
    if "e" not in roles and axis.is_doubtful(begin, end, deduced="p" not in roles):
        raise NotComputedError(_too_far(letter, axis, out, end), _FAR)
    return _Spatial(axis, begin, end)


def _too_far(letter: str, axis: Axis, out: int, end: int) -> str:
    what = {"h": "rows", "w": "columns"}[letter]
    return (
        f"o{letter}{out}: with i{letter}{axis.size} it takes {end} {what} of padding at the end, "
        f"under a filter of {axis.span}; is this a deconvolution? Leave out o{letter}, or add "
        f"e{letter}{end} if that is meant"
    )


def _missing(letter: str, role: str, roles: Roles) -> str:
    key = role + letter
    if letter == "w":
        widths = " and ".join(f"{r}w{value}" for r, value in roles.items())
        return f"missing {key}: {widths} given, so iw and kw are required; or leave out every width"
    return f"missing {key}: ih and kh are required"
