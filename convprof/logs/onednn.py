"""A line of ``ONEDNN_VERBOSE``, of every version.

    mkldnn_verbose,exec,convolution,...                              up to 0.21
    dnnl_verbose,exec,cpu,convolution,...                            1.1 to 2.4
    onednn_verbose,exec,cpu,convolution,...                          2.5 to 3.2
    onednn_verbose,primitive,exec,cpu,convolution,...                3.3 to 3.5
    onednn_verbose,v1,[timestamp],primitive,exec,cpu,convolution,... from 3.6

After the primitive follow implementation, kind of propagation, memory descriptors, attributes (not
in 0.x), an auxiliary field, the problem and the time in milliseconds. Source: oneDNN,
``doc/performance/verbose.md`` and ``src/common/verbose.cpp`` of these versions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from convprof.logs import onednn_shapes
from convprof.logs.operation import Operation, word

if TYPE_CHECKING:
    from convprof.logs.operation import Event, Reading

LIBRARY = "oneDNN"
PREFIX = re.compile(rb"(?:onednn|mkldnn|dnnl)_verbose,(?:v[0-9]{1,3},)?(?:([0-9]+(?:\.[0-9]+)?),)?")
"""The name, the version of the format and a time stamp: what differs between equal operations.

The stamp, a group, is the begin in milliseconds.
"""

_APIS = ("primitive", "graph", "ukernel", "common")
_ENGINES = ("cpu", "gpu")
_MESSAGES = ("info", "error", "warn", "create:check", "create:dispatch", "profile")
_LEAST_FIELDS = 6
_PRODUCTS = ("convolution", "deconvolution", "inner_product", "matmul", "gemm_api", "brgemm")
_TYPE = (
    r"(?:f64|f32|f16|bf16|s64|s32|s8|u8|s4|u4|f8_e5m2|f8_e4m3|f4_e2m1|f4_e3m0|e8m0|boolean|undef)"
)
_OLD_DESCRIPTOR = re.compile(rf"(\w+?)_({_TYPE})")
_NEW_TYPE = re.compile(_TYPE)
_FIRST_DESCRIPTOR = re.compile(rf"({_TYPE})_(\w+)")
_IMAGES = {
    "abcd": "nchw",
    "acdb": "nhwc",
    "aBcd4b": "nChw4c",
    "aBcd8b": "nChw8c",
    "aBcd16b": "nChw16c",
}
"""Layouts of images by oneDNN's letters of axes; 0.x writes the names."""
_ROLES = {"fsrc": "src", "in": "src", "fdata": "src", "data": "src", "fwei": "wei", "fdst": "dst",
          "out": "dst", "fbia": "bia"}  # fmt: skip


class Line(NamedTuple):
    """A line without its time; ``operation`` is None for a time that is part of another time."""

    operation: Operation | None
    event: Event


def message(body: str, reading: Reading) -> bool:
    """Take a line without a time; return whether it has the form of a message."""
    fields = body.split(",")
    if fields[0] in _APIS:
        fields = fields[1:]
    if not fields or fields[0] not in _MESSAGES:
        return False
    for text in fields[1:]:
        if text.startswith(("oneDNN v", "DNNL v", "MKL-DNN v")) or "MKL-DNN v" in text:
            reading.begin(LIBRARY, text.partition(" (")[0].rpartition(" v")[2])
        count = text.removeprefix("nthr:")
        if count != text and count.isascii() and count.isdigit():
            reading.on_threads(LIBRARY, int(count[:9]))
    return True


def parse(head: str) -> Line | None:
    """Return what a line says before its time; None if it has another form.

    ``head`` begins behind ``PREFIX``, and has no last comma.
    """
    fields = head.split(",")
    api = fields.pop(0) if fields[0] in _APIS else ""
    event = _event(fields[0]) if fields else None
    if event is None:
        return None
    if api == "graph" or "nested" in fields[0]:
        return Line(None, event)  # the primitives in it have lines of their own
    fields = fields[1:]
    engine = fields.pop(0) if fields and fields[0].startswith(_ENGINES) else "cpu"
    if len(fields) < _LEAST_FIELDS:
        return None
    return Line(_operation(engine, fields), event)


def _event(text: str) -> Event | None:
    if text.startswith("exec"):
        return "execution"
    if not text.startswith("create"):
        return None
    return "cache hit" if text.endswith("cache_hit") else "creation"


def _operation(engine: str, fields: list[str]) -> Operation:
    kind, implementation, prop = fields[:3]
    tensors = _tensors(fields[3])
    shape = fields[-1]
    on_cpu = engine.startswith("cpu")
    problem = onednn_shapes.problem(kind, prop, shape) if on_cpu else None
    backward = f" {prop}" if prop.startswith("backward") else ""
    return Operation(
        LIBRARY,
        word(f"{'' if on_cpu else 'gpu '}{kind}{backward}"),
        word(shape),
        word(_types(kind, tensors, implementation)),
        word(_layout(kind, tensors)),
        word(implementation),
        problem,
        kind == "reorder",
    )


def _tensors(text: str) -> dict[str, tuple[str, str]]:
    """Return type and tag of each memory descriptor, by role; the first of each role."""
    tensors: dict[str, tuple[str, str]] = {}
    for descriptor in text.split(" "):
        parts = descriptor.split(":")
        role = parts[0].removeprefix("diff_").removeprefix("fdiff_")
        if len(parts) > 4 and _NEW_TYPE.fullmatch(parts[1]):  # noqa: PLR2004  # name type props kind tag
            dtype, tag = parts[1], parts[4]
        elif len(parts) > 3 and (old := _OLD_DESCRIPTOR.fullmatch(role)):  # noqa: PLR2004
            role, dtype, tag = old[1], old[2], parts[3]
        elif len(parts) == 2 and (first := _FIRST_DESCRIPTOR.fullmatch(parts[1])):  # noqa: PLR2004
            dtype, tag = first[1], first[2]
        elif len(parts) == 2:  # noqa: PLR2004  # 0.x: fsrc:nchw
            dtype, tag = "", parts[1]
        else:
            continue
        tensors.setdefault(_ROLES.get(role, role), (dtype, tag))
    return tensors


def _types(kind: str, tensors: dict[str, tuple[str, str]], implementation: str) -> str:
    roles = ("src", "wei", "dst") if kind in _PRODUCTS else ("src", "dst")
    names = [tensors[role][0] for role in roles if role in tensors]
    if kind in _PRODUCTS and not all(names):
        # 0.x names no types here. Its implementations for others than f32 have them in the name.
        return "" if "int8" in implementation or "bf16" in implementation else "f32"
    if len(set(names)) <= 1:
        return names[0] if names else ""
    return (":" if kind in _PRODUCTS else "->").join(names)


def _layout(kind: str, tensors: dict[str, tuple[str, str]]) -> str:
    src, wei, dst = (tensors.get(role, ("", ""))[1] for role in ("src", "wei", "dst"))
    if kind in {"matmul", "inner_product", "gemm_api", "brgemm"}:
        return f"{src}:{wei}" if wei else src
    if kind in {"convolution", "deconvolution", "pooling"}:
        src, dst = (_IMAGES.get(tag, tag) for tag in (src, dst))
    return src if src == dst or not dst else f"{src}->{dst}"
