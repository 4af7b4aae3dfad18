"""Read a convolution from benchdnn's text: ``mb1ic64ih56oc64oh56kh3ph1n"name"``.

The rules are benchdnn's (oneDNN, tests/benchdnn, ``doc/driver_conv.md``, ``str2desc``):
fields in any order, ``_`` between them ignored, ``mb`` defaults to 2, a dilation of 0 is dense.
Without any width field all widths are those of the height; with one, ``iw`` and ``kw`` must both
be there. Without height fields the problem is one-dimensional. A missing output size follows
from the padding, a missing padding from the output size; with neither, the padding is 0.
"""

from __future__ import annotations

import difflib
import re
from typing import NamedTuple

from convprof.errors import DescriptorError
from convprof.problems.axis import Axis
from convprof.problems.checks import MAX_SIZE, shown
from convprof.problems.conv2d import Conv2d
from convprof.problems.names import read_name

_ROLES = "iokspd"  # input, output, kernel, stride, padding, dilation
_KEYS = ["g", "mb", "ic", "oc", *(role + axis for role in _ROLES for axis in "dhw")]
_FIELD = re.compile(rf"({'|'.join(_KEYS)})([0-9]*)")
_WORD = re.compile(r"[A-Za-z]+")
_DEFAULT_MB = 2
_TRIVIAL = {"i": 1, "o": 1, "k": 1, "s": 1, "p": 0, "d": 0}

Roles = dict[str, int]  # the given fields of one axis: {"i": 56, "k": 3}


class _Spatial(NamedTuple):
    """One axis with everything deduced; padding in elements."""

    axis: Axis
    begin: int
    end: int


def parse_conv2d(text: str) -> Conv2d:
    """Return the convolution that the text means.

    Raises DescriptorError naming the field; ProblemError when the shape cannot be computed.
    """
    fields, name = _scan(text)
    for key in ("ic", "oc"):
        if key not in fields:
            raise DescriptorError(f"missing {key}: ic, oc, ih and kh are required")
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
        raise DescriptorError(f"{shown(where)}: must be at most {MAX_SIZE} (2**31 - 1)")
    if number == 0 and key[0] not in "pd":
        raise DescriptorError(f"{where}: must be at least 1")
    return number


def _unknown(text: str, at: int) -> str:
    word = _WORD.match(text, at)
    if word is None:
        found = shown(text[at : at + 10])
        return f"{found} at character {at + 1}: a field such as ic64 must stand here"
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
            raise DescriptorError("id is given: give ih and iw as well, or leave out id, kd and od")
        if not _present(height):
            return _TRIVIAL, _TRIVIAL
    if _present(height) and not _present(width):
        for role, value in width.items():
            if value != height.get(role, _TRIVIAL[role]):
                raise DescriptorError(
                    f"{role}w{value}: without iw and kw the width follows the height; add both"
                )
        return height, height
    if _present(width) and not _present(height):
        return _TRIVIAL, width
    return height, width


def _present(roles: Roles) -> bool:
    """Whether an axis is given, as benchdnn sees it: stride 1 and padding 0 alone say nothing."""
    return any(role in "iok" or value != _TRIVIAL[role] for role, value in roles.items())


def _check_flat(depth: Roles) -> None:
    for role in "iokp":
        if depth.get(role, 0) > _TRIVIAL[role]:
            raise DescriptorError(
                f"{role}d{depth[role]}: 3d convolutions are not supported; "
                f"leave out the depth (or make it id1kd1)"
            )
    for role in "ik":
        if role not in depth:
            raise DescriptorError(f"missing {role}d: leave out the depth or write id1kd1")


def _deduce(letter: str, roles: Roles) -> _Spatial:
    """Return one axis with its output size and padding settled."""
    for role in "ik":
        if role not in roles:
            raise DescriptorError(_missing(letter, role, roles))
    axis = Axis(roles["i"], roles["k"], roles.get("s", 1), roles.get("d", 0) + 1)
    out = roles.get("o")
    if out is None:
        begin = roles.get("p", 0)
        return _Spatial(axis, begin, begin)
    begin = roles["p"] if "p" in roles else max(0, axis.need(out)) // 2
    end = axis.end_for(out, begin)
    if end is None:
        given = " ".join(f"{role}{letter}{roles[role]}" for role in "ikspd" if role in roles)
        raise DescriptorError(
            f"o{letter}{out} does not follow: {given} give at least "
            f"o{letter}{axis.out(begin, 0)}; leave out o{letter} to have it deduced"
        )
    return _Spatial(axis, begin, end)


def _missing(letter: str, role: str, roles: Roles) -> str:
    key = role + letter
    if letter == "w":
        given = " and ".join(f"{r}w{value}" for r, value in roles.items())
        return f"missing {key}: {given} given, so iw and kw are required; or leave out every width"
    return f"missing {key}: ih and kh are required"
