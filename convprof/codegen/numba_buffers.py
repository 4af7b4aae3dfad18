"""The memory of loop nests as numba sees it: buffers by number, each with a type of its own.

A loop nest computes ``c[i] + a[j] * b[k]`` whatever the types are. Elements that a CPU does not
compute with are converted where they are read and written: floats of 16 bits to and from
``float32``, integers of 8 bits to and from 32. Imports numba.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.datamodel import models
from numba.core.datamodel.registry import register_default
from numba.core.imputils import lower_builtin, lower_cast
from numba.core.typeconv.castgraph import Conversion
from numba.core.typing.templates import AbstractTemplate, infer, infer_global, signature

from convprof.dtypes import find

VERSION = 4
"""A part of the types' names, and so of the keys of compiled loop nests on disk: count on when a
conversion changes."""


class Whole(types.Type):
    """A whole number of 32 bits whose sums and products have 32 bits.

    numba's own integers grow to 64 bits in every operation, of which a CPU multiplies an eighth as
    many at a time.
    """

    def __init__(self) -> None:
        super().__init__(name=f"convprof.Whole({VERSION})")

    def unify(self, typingctx: Any, other: Any) -> Any:  # noqa: ARG002
        """Return the type of a variable that is a number or this: this."""
        return self if isinstance(other, types.Integer) else None

    def can_convert_from(self, typingctx: Any, other: Any) -> Any:  # noqa: ARG002
        """Return how an integer becomes one: constants of loop nests do."""
        return Conversion.safe if isinstance(other, types.Integer) else None


WHOLE = Whole()
_VALUES: dict[str, Any] = {
    "bf16": types.float32,
    "f16": types.float32,
    "s32": WHOLE,
    "s8": WHOLE,
    "u8": WHOLE,
}
"""What an element is read as; elements of other types are read as they are."""
_WORD, _INT, _FLOAT = ir.IntType(16), ir.IntType(32), ir.FloatType()
_BF16_SHIFT = 16
"""A bf16 is the upper half of a float32."""
_QUIET_NAN = 0x40
"""The bit that keeps a NaN from becoming an infinity when its lower half is cut off."""


class Elements(types.Type):
    """A pointer to elements of one type, which are converted where they are read and written."""

    def __init__(self, dtype: str) -> None:
        self.element = dtype
        self.value = _VALUES[dtype]
        super().__init__(name=f"convprof.Elements({dtype}, {VERSION})")

    @property
    def memory(self) -> Any:
        """The type of an element in memory, in LLVM."""
        return ir.HalfType() if self.element == "f16" else ir.IntType(find(self.element).bits)


class Table(types.Type):
    """A pointer to the pointers to all buffers."""

    def __init__(self, dtypes: tuple[str, ...]) -> None:
        """Take the types by number of the buffer; one type is the type of all buffers."""
        self.dtypes = dtypes
        super().__init__(name=f"convprof.Table({', '.join(dtypes)}, {VERSION})")

    def pointer(self, number: int) -> Any:
        """Return the type of the pointer to the elements of a buffer."""
        name = self.dtypes[number] if len(self.dtypes) > 1 else self.dtypes[0]
        if name in _VALUES:
            return Elements(name)
        return types.CPointer(getattr(types, find(name).numpy))


@register_default(Elements)
class _ElementsModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Elements) -> None:
        super().__init__(manager, kind, kind.memory.as_pointer())


@register_default(Whole)
class _WholeModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Whole) -> None:
        super().__init__(manager, kind, _INT)


@register_default(Table)
class _TableModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Table) -> None:
        super().__init__(manager, kind, ir.IntType(8).as_pointer().as_pointer())


# Which types the expressions have.


@infer
class _Buffer(AbstractTemplate):
    """``buffers[2]``: the number must be a constant, because the types differ."""

    key = "static_getitem"

    def generic(self, args: Any, kws: Any) -> Any:  # noqa: ARG002
        table, number = args
        if isinstance(table, Table):
            return signature(table.pointer(number), *args)
        return None


@infer_global(operator.getitem)
class _Read(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:  # noqa: ARG002
        pointer, index = args
        if isinstance(pointer, Elements) and isinstance(index, types.Integer):
            return signature(pointer.value, pointer, types.intp)
        return None


@infer_global(operator.setitem)
class _Write(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:  # noqa: ARG002
        pointer, index, _ = args
        if isinstance(pointer, Elements) and isinstance(index, types.Integer):
            return signature(types.none, pointer, types.intp, pointer.value)
        return None


@infer_global(operator.add)
@infer_global(operator.mul)
@infer_global(operator.iadd)
@infer_global(operator.and_)
@infer_global(operator.rshift)
@infer_global(operator.sub)
class _Calculate(AbstractTemplate):
    """A step with a constant has 32 bits as well."""

    def generic(self, args: Any, kws: Any) -> Any:  # noqa: ARG002
        whole = all(isinstance(each, (Whole, types.Integer)) for each in args)
        return signature(WHOLE, WHOLE, WHOLE) if WHOLE in args and whole else None


@infer_global(operator.mul)
class _Scale(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:  # noqa: ARG002
        scale, number = args
        if isinstance(scale, types.Float) and number == WHOLE:
            return signature(scale, scale, WHOLE)
        return None


# Which instructions they become.


@lower_builtin("static_getitem", Table, types.Any)
def _buffer(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    table, number = args
    place = builder.gep(table, [context.get_constant(types.intp, number)])
    return builder.bitcast(builder.load(place), context.get_value_type(sig.return_type))


@lower_builtin(operator.getitem, Elements, types.Integer)
def _read(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ARG001
    pointer, index = args
    kind = sig.args[0]
    element = builder.load(builder.gep(pointer, [index]), align=find(kind.element).bytes)
    return _READ[kind.element](builder, element)


@lower_builtin(operator.setitem, Elements, types.Integer, types.Any)
def _write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    pointer, index, value = args
    kind = sig.args[0]
    value = context.cast(builder, value, sig.args[2], kind.value)
    place = builder.gep(pointer, [index])
    builder.store(_WRITTEN[kind.element](builder, value), place, align=find(kind.element).bytes)
    return context.get_dummy_value()


@lower_builtin(operator.add, Whole, Whole)
@lower_builtin(operator.iadd, Whole, Whole)
def _add(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ARG001
    return builder.add(*args)


@lower_builtin(operator.sub, Whole, Whole)
def _subtract(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ARG001
    return builder.sub(*args)


@lower_builtin(operator.and_, Whole, Whole)
def _and(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ARG001
    return builder.and_(*args)


@lower_builtin(operator.rshift, Whole, Whole)
def _shift_down(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ARG001
    return builder.ashr(*args)


@lower_builtin(operator.mul, types.Float, Whole)
def _scaled(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    scale, number = args
    return builder.fmul(scale, builder.sitofp(number, context.get_value_type(sig.return_type)))


@lower_builtin(operator.mul, Whole, Whole)
def _multiply(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ARG001
    return builder.mul(*args)


@lower_cast(types.Integer, Whole)
def _shorten(context: Any, builder: Any, before: Any, after: Any, value: Any) -> Any:  # noqa: ARG001
    return builder.trunc(value, _INT) if before.bitwidth > _INT.width else value


@lower_cast(Whole, types.Float)
def _to_float(context: Any, builder: Any, before: Any, after: Any, value: Any) -> Any:  # noqa: ARG001
    return builder.sitofp(value, context.get_value_type(after))


def _bf16_read(builder: Any, element: Any) -> Any:
    upper = builder.shl(builder.zext(element, _INT), _INT(_BF16_SHIFT))
    return builder.bitcast(upper, _FLOAT)


def _bf16_written(builder: Any, value: Any) -> Any:
    """Round to nearest, ties to even: half of a unit is added before the lower half is cut off."""
    bits = builder.bitcast(value, _INT)
    upper = builder.lshr(bits, _INT(_BF16_SHIFT))
    half = builder.add(builder.and_(upper, _INT(1)), _INT(0x7FFF))
    rounded = builder.lshr(builder.add(bits, half), _INT(_BF16_SHIFT))
    nan = builder.or_(upper, _INT(_QUIET_NAN))
    is_nan = builder.fcmp_unordered("uno", value, value)
    return builder.trunc(builder.select(is_nan, nan, rounded), _WORD)


_READ: dict[str, Any] = {
    "bf16": _bf16_read,
    "f16": lambda builder, element: builder.fpext(element, _FLOAT),
    "s8": lambda builder, element: builder.sext(element, _INT),
    "u8": lambda builder, element: builder.zext(element, _INT),
    "s32": lambda _, element: element,
}
_WRITTEN: dict[str, Any] = {
    "bf16": _bf16_written,
    "f16": lambda builder, value: builder.fptrunc(value, ir.HalfType()),
    "s8": lambda builder, value: builder.trunc(value, ir.IntType(8)),
    "u8": lambda builder, value: builder.trunc(value, ir.IntType(8)),
    "s32": lambda _, value: value,
}
