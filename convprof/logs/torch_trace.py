"""A trace of ``torch.profiler``: operators that call one another, as Chrome's JSON.

An operator that is a problem of convprof is one call with all that it calls; the first known kernel
inside names its implementation. Any other operator is a call with the time that is its own, without
the operators it calls. So the times of all calls add up to the time of the outermost operators.
Source: ``torch/csrc/profiler`` of PyTorch and ``output_json.cpp`` of Kineto.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convprof.logs import torch_shapes
from convprof.logs.operation import Call, Operation, Span, is_time, number, word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.logs.operation import Reading

LIBRARY = "PyTorch"
CATEGORY = "cpu_op"
_MICRO = 1e-6
_SLACK_US = 0.002
"""Times are printed with three digits behind the point: an end may be so much too late."""
_IMPLEMENTATIONS = frozenset({
    "mkldnn_convolution", "thnn_conv2d", "_slow_conv2d_forward", "slow_conv2d_forward",
    "slow_conv_dilated2d", "_conv_depthwise2d", "_nnpack_spatial_convolution", "addmm", "mm", "bmm",
    "baddbmm", "_mkl_linear", "mkldnn_linear", "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_attention_math", "mkldnn_rnn_layer",
})  # fmt: skip
"""Without their name spaces."""
_REORDERS = ("aten::contiguous", "aten::clone", "aten::copy_", "aten::to", "aten::_to_copy")
_MOST_THREADS = 4096
_DEEPEST = 256
_LONGEST_KEY = 5000
_MOST_KNOWN = 5000
"""Different operators and arguments whose meaning is kept: a program repeats some hundreds."""


@dataclass(slots=True)
class _Open:
    """An operator that has begun, and may have further operators inside."""

    operation: Operation
    begin: float
    end: float
    thread: str
    whole: bool
    """Whether what it calls is part of it."""
    inside: float = 0.0
    """The time of operators inside, if they are calls of their own."""
    implementation: str = ""


@dataclass
class TorchTrace:
    """Turns events into calls. Events of one thread come in the order in which they began."""

    reading: Reading
    _threads: dict[tuple[Any, Any], list[_Open]] = field(default_factory=dict)
    _processes: set[Any] = field(default_factory=set)
    _known: dict[tuple[str, ...], Operation] = field(default_factory=dict)

    def calls(self, event: dict[str, Any]) -> Iterator[Call]:
        """Take an event; yield the calls of operators that have ended before."""
        name = event.get("name")
        begin, duration = number(event.get("ts")), number(event.get("dur"))
        thread = (event.get("pid"), event.get("tid"))
        if not (
            isinstance(name, str)
            and begin is not None
            and duration is not None
            and is_time(duration * _MICRO)
            and all(isinstance(number, int | str) for number in thread)
        ):
            self.reading.unread += 1
            return
        if thread not in self._threads and len(self._threads) >= _MOST_THREADS:
            self.reading.unread += 1
            return
        if thread[0] not in self._processes:
            self._processes.add(thread[0])
            self.reading.begin(LIBRARY)
        stack = self._threads.setdefault(thread, [])
        yield from _ended(stack, begin)
        if stack and begin < stack[-1].begin - _SLACK_US:
            self.reading.unread += 1  # out of order: it may be inside of what was counted
            return
        self._open(stack, name, begin, duration, event)

    def rest(self) -> Iterator[Call]:
        """Yield the calls of operators that are still open at the end of the trace."""
        for stack in self._threads.values():
            yield from _ended(stack, float("inf"))

    def _open(
        self, stack: list[_Open], name: str, begin: float, duration: float, event: dict[str, Any]
    ) -> None:
        outer = stack[-1] if stack else None
        if outer is not None and outer.whole:
            short = name.rpartition("::")[2]
            if not outer.implementation and short in _IMPLEMENTATIONS:
                outer.implementation = short
            self.reading.nested += 1
            return
        if outer is not None:
            # An operator cannot be inside another one for longer than that takes.
            duration = max(0.0, min(duration, outer.end - begin))
            outer.inside += duration
        if len(stack) >= _DEEPEST:
            self.reading.unread += 1
            return
        arguments = event.get("args")
        operation = self._operation(name, arguments if isinstance(arguments, dict) else {})
        whole = operation.problem is not None
        thread = word(f"thread {event.get('tid')} of process {event.get('pid')}")
        stack.append(_Open(operation, begin, begin + duration, thread, whole))

    def _operation(self, name: str, arguments: dict[str, Any]) -> Operation:
        try:
            key = (name, *(repr(arguments.get(field)) for field in torch_shapes.FIELDS))
        except RecursionError:  # lists in lists in lists
            return Operation(LIBRARY, word(name), "")
        if sum(map(len, key)) > _LONGEST_KEY:
            return _operation(name, arguments)
        operation = self._known.get(key)
        if operation is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            operation = self._known[key] = _operation(name, arguments)
        return operation


def _ended(stack: list[_Open], now: float) -> Iterator[Call]:
    """Yield, and remove, the operators that ended before a time."""
    while stack and stack[-1].end <= now + _SLACK_US:
        last = stack.pop()
        own = last.end - last.begin - last.inside
        span = Span(last.begin * _MICRO, (last.end - last.begin) * _MICRO, last.thread)
        yield Call(_named(last), max(0.0, own) * _MICRO, "execution", span)


def _named(done: _Open) -> Operation:
    operation = done.operation
    if not done.implementation:
        return operation
    return Operation(
        operation.library,
        operation.kind,
        operation.text,
        operation.types,
        operation.layout,
        done.implementation,
        operation.problem,
    )


def _operation(name: str, arguments: dict[str, Any]) -> Operation:
    problem = torch_shapes.problem(name, arguments)
    sizes = [shape for shape in torch_shapes.shapes(arguments) if shape]
    text = ":".join("x".join(map(str, shape)) for shape in sizes[:2])
    return Operation(
        LIBRARY,
        word(name),
        word(text if problem is None else problem.descriptor),
        torch_shapes.types(arguments),
        torch_shapes.layout(arguments) if problem is None or problem.has_layout else "",
        "",
        problem,
        name in _REORDERS,
    )
