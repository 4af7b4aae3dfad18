"""The arithmetic that a shape file's options choose: types, scales, bias and post-operations.

An option has a list of values with commas, and a line is a problem for each combination of the
values. What convprof does not compute is an error with a short reason, under which lines are
counted. Names and values are benchdnn's: oneDNN, tests/benchdnn/doc, ``knobs_attr.md``.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from convprof.dtypes import DTYPES, F32, PRODUCTS, types
from convprof.errors import DescriptorError, NotComputedError, ProblemError
from convprof.problems.batch_weights import activations, grouped_weights
from convprof.problems.checks import shown
from convprof.problems.epilogue import ADD, BIAS, Epilogue
from convprof.problems.shapes import channel_axis
from convprof.problems.typed import TypedProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.problems.base import Problem
    from convprof.problems.shapes import Shape

DTYPE, CONFIGURATION, BIAS_TYPE, BIAS_MASK = "dt", "cfg", "bia-dt", "bia_mask"
SCALES, ZERO_POINTS, POST_OPS = "attr-scales", "attr-zero-points", "attr-post-ops"
TYPE_OPTIONS = (DTYPE, CONFIGURATION, SCALES, ZERO_POINTS)
"""Options that another choice of types takes the place of."""
EPILOGUE_OPTIONS = (BIAS_TYPE, BIAS_MASK, POST_OPS)
"""Options that another choice of the epilogue takes the place of."""
MOST_VALUES = 100
MOST_VARIANTS = 1000
"""Combinations of values of one line."""

_TYPE = re.compile(r"f(?:64|32|16|8_e\dm\d|4_e\dm\d)|bf16|s(?:4|8|32|64)|u(?:4|8)|e8m0|undef")
_CONFIGURATION = re.compile(rf"((?:{_TYPE.pattern})+)(_wino)?")
_TENSORS = 3
_PER_CHANNEL = {"common", "per_oc"}
_SIXTH = 1 / 6
_FUNCTIONS: dict[str, tuple[str, tuple[float, ...]]] = {
    "relu": ("relu", (0, 0)),
    "clip": ("relu6", (0, 6)),
    "clip_v2": ("relu6", (0, 6)),
    "logistic": ("sigmoid", (0, 0)),
    "tanh": ("tanh", (0, 0)),
    "swish": ("silu", (1, 0)),
    "gelu_erf": ("gelu", (0, 0)),
    "gelu_tanh": ("gelu_tanh", (0, 0)),
    "hardsigmoid": ("hardsigmoid", (_SIXTH, 0.5)),
    "hardswish": ("hardswish", (_SIXTH, 0.5)),
}
"""Ours, and the alpha and beta with which both compute the same; by benchdnn's name."""
_STATED = {"clip", "clip_v2", "hardsigmoid", "hardswish", "swish"}
"""Functions whose default alpha and beta mean another function."""


@dataclass(frozen=True, slots=True)
class _Option:
    """An option as it was written, and where."""

    word: str = ""
    source: str = ""
    values: tuple[str, ...] = ("",)

    def refused(self, value: str, reason: str) -> NotComputedError:
        """Return the error of a value that is not computed."""
        name = self.word.partition("=")[0]
        text = f"{name}={shown(value)[1:-1]} ({self.source}): {reason}"
        return NotComputedError(text, f"under {name}")


@dataclass(slots=True)
class Arithmetic:
    """The options that hold for the next line."""

    _options: dict[str, _Option] = field(default_factory=dict)

    def take(self, name: str, word: str, value: str, source: str) -> None:
        """Set an option; DescriptorError for a type that does not exist, or too many values."""
        values = tuple(dict.fromkeys(part.strip() for part in value.split(",")))
        if len(values) > MOST_VALUES:
            raise DescriptorError(f"{shown(word)}: more than {MOST_VALUES} values")
        if name == CONFIGURATION:
            name, values = DTYPE, tuple(_of_configuration(word, each) for each in values)
        if name in (DTYPE, BIAS_TYPE):
            for each in filter(None, values):
                _check_types(word, each, (1, _TENSORS) if name == DTYPE else (1,))
        self._options[name] = _Option(word, source, values)

    def clear(self) -> None:
        """Return to the defaults."""
        self._options.clear()

    def variants(self, problem: Problem, *, bias: bool) -> Iterator[Variant]:
        """Yield the combinations of values. ``bias``: the direction of the line includes one."""
        options = self._of(problem)
        for values in itertools.product(*(option.values for option in options.values())):
            chosen = {
                name: (option, value)
                for (name, option), value in zip(options.items(), values, strict=True)
                if value
            }
            yield Variant(problem, chosen, bias=bias)

    def check(self, problem: Problem, times: int) -> None:
        """Raise DescriptorError for a line of too many problems.

        ``times``: the combinations of its minibatches, passes and biases.
        """
        counts = (len(option.values) for option in self._of(problem).values())
        if times * math.prod(counts) > MOST_VARIANTS:
            raise DescriptorError(f"more than {MOST_VARIANTS} combinations of the options' values")

    def _of(self, problem: Problem) -> dict[str, _Option]:
        """Return by name the options that a problem has."""
        of_products = (BIAS_TYPE, BIAS_MASK) if problem.kind == "gemm" else ()
        names = (DTYPE, SCALES, ZERO_POINTS, POST_OPS, *of_products)
        return {name: self._options.get(name, _Option()) for name in names}


@dataclass(frozen=True)
class Variant:
    """A line with one value of each option."""

    problem: Problem
    chosen: dict[str, tuple[_Option, str]]
    """By name, the options that are set, each with its value."""
    bias: bool

    def typed(self) -> TypedProblem:
        """Return the problem with its types and its epilogue; NotComputedError says why not."""
        option, value = self.chosen.get(DTYPE, (_Option(), ""))
        if self.problem.kind == "gemm" and activations(value):
            return self._of_few_bits(option, value)
        dtype = self._dtype()
        for name in (SCALES, ZERO_POINTS):
            if name in self.chosen:
                self._check_factors(name, dtype)
        epilogue = self._epilogue(dtype)
        if not epilogue:
            return TypedProblem(self.problem, dtype)
        try:
            return TypedProblem(self.problem.with_epilogue(epilogue), dtype)
        except ProblemError:  # a backward pass, or attention
            option, value = self.chosen[POST_OPS]
            reason = f"{self.problem.kind} has no epilogue"
            raise option.refused(value, reason) from None

    def _of_few_bits(self, option: _Option, value: str) -> TypedProblem:
        """Return the product with weights of 4 or 8 bits, whose groups have scales."""
        factors = [self.chosen.get(name, (option, ""))[1] for name in (SCALES, ZERO_POINTS)]
        weights = grouped_weights(value, *factors)
        if isinstance(weights, str):
            raise option.refused(value, weights)
        if self._epilogue(""):
            raise option.refused(value, "a product with such weights has no bias and no epilogue")
        try:
            return TypedProblem(self.problem.with_grouped_weights(weights), activations(value))
        except ProblemError as error:
            raise option.refused(value, str(error)) from None

    @property
    def _result(self) -> Shape:
        """The logical shape of the result."""
        return self.problem.result("nchw", F32).shape

    def _dtype(self) -> str:
        if DTYPE not in self.chosen:
            return ""
        option, value = self.chosen[DTYPE]
        names = value.split(":")
        text = ":".join(names * _TENSORS if len(names) == 1 else names)
        computed = set(text.split(":")) <= DTYPES.keys() and types(text).name in PRODUCTS
        if not computed:
            raise option.refused(value, "these types are not computed")
        return types(text).name

    def _check_factors(self, name: str, dtype: str) -> None:
        """Raise NotComputedError unless requantisation has these scales or zero points."""
        option, value = self.chosen[name]
        of = types(dtype) if dtype else F32
        if not of.requantises:
            raise option.refused(value, f"types such as u8:s8:u8 have them, not {of.name}")
        for part in value.split("+"):
            tensor, policy, *rest = [*part.split(":"), ""]
            allowed = {"common"}
            if name == SCALES and tensor == "wei":
                axis = 0 if self.problem.kind == "conv2d" else channel_axis(self._result)
                allowed = _PER_CHANNEL | {f"per_dim_{axis}"}
            if tensor not in ("src", "wei", "dst"):
                raise option.refused(part, "only src, wei and dst have them")
            if name == ZERO_POINTS and tensor == "wei" and rest[:1] != ["0"]:
                raise option.refused(part, "weights have no zero point")
            if policy not in allowed:
                raise option.refused(part, f"{tensor} has {' or '.join(sorted(allowed))} only")

    def _epilogue(self, dtype: str) -> Epilogue:
        words = [BIAS] if self.bias or self._has_bias() else []
        if POST_OPS not in self.chosen:
            return Epilogue(bias=bool(words))
        option, value = self.chosen[POST_OPS]
        for part in value.split("+"):
            word = _step(part, dtype, self._result)
            if word is None:
                raise option.refused(part, "this step is not computed")
            words.append(word)
        try:
            return Epilogue.parse(",".join(words))
        except ProblemError:
            reason = "only a bias, a residual and one activation, in this order, are computed"
            raise option.refused(value, reason) from None

    def _has_bias(self) -> bool:
        """Whether a matrix product has a bias per column."""
        if BIAS_TYPE not in self.chosen or self.chosen[BIAS_TYPE][1] == "undef":
            return False
        mask = self.chosen.get(BIAS_MASK)
        columns = 1 << channel_axis(self._result)
        if mask is not None and mask[1] != str(columns):
            raise mask[0].refused(mask[1], f"only a bias per column (mask {columns}) is computed")
        return True


def _of_configuration(word: str, text: str) -> str:
    """Return ``u8:s8:u8`` of an older benchdnn's ``u8s8u8``; a strategy decides on Winograd."""
    match = _CONFIGURATION.fullmatch(text)
    if match is None:
        raise DescriptorError(f"{shown(word)}: write types such as f32, or u8s8u8")
    return ":".join(_TYPE.findall(match[1]))


def _check_types(word: str, text: str, numbers: tuple[int, ...]) -> None:
    """Raise DescriptorError for a type that benchdnn does not have, or another number of types."""
    names = text.split(":")
    if len(names) not in numbers or not all(_TYPE.fullmatch(each) for each in names):
        several = ", or u8:s8:u8 of source, weights and result" if _TENSORS in numbers else ""
        raise DescriptorError(f"{shown(word)}: write types such as f32{several}")


def _step(text: str, dtype: str, shape: Shape) -> str | None:
    """Return the step of the epilogue that computes a post-operation; None if no step does.

    ``shape`` is of the result: a second operand has the axes of a mask.
    """
    name, *values = text.split(":")
    name = name.removeprefix("eltwise_").removeprefix("binary_")
    result = (types(dtype) if dtype else F32).result.name
    if name == "sum":
        scale, zero, of, *_ = [*values, *["1", "0", result][len(values) :]]
        return ADD if (_number(scale), _number(zero), of) == (1, 0, result) else None
    if name == "add" and len(values) > 1:
        axis, whole = channel_axis(shape), (1 << len(shape)) - 1
        if values[1] in {str(1 << axis), f"per_dim_{axis}", *["per_oc"] * (axis == 1)}:
            return BIAS
        return ADD if values[1] in {str(whole), "per_tensor"} and values[0] == result else None
    if name not in _FUNCTIONS or (name in _STATED and not values):
        return None
    ours, usual = _FUNCTIONS[name]
    stated = [_number(each) for each in values]
    same = len(stated) <= len(usual) and all(
        math.isclose(each, other, rel_tol=1e-2, abs_tol=1e-6)
        for each, other in zip(stated, usual, strict=False)
    )
    return ours if same else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
