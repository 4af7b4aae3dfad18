"""Dataclasses of plain values back from JSON: each field is checked by its type.

`results.plain` writes such a dataclass, `record` reads what it wrote. A field without a value in
the JSON has its default; without a default, InputError names it.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from convprof.errors import InputError
from convprof.json_checks import array, finite, integer, mapping, tree, words

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def record(cls: type[T], value: Any) -> T:
    """Return the dataclass whose fields a JSON object has; InputError says which one is wrong."""
    fields, values = mapping(value), {}
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        if field.name in fields:
            try:
                values[field.name] = _value(_hints(cls)[field.name], fields[field.name])
            except InputError as error:
                raise InputError(f"{field.name}: {error}") from None
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise InputError(f"{field.name} is missing")
    return cls(**values)


def records(cls: type[T], value: Any) -> tuple[T, ...]:
    """Return the dataclasses of a JSON array."""
    return tuple(record(cls, item) for item in array(value))


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls, vars(sys.modules[cls.__module__]))


def _value(hint: Any, value: Any) -> Any:
    """Return a value of a type; InputError for a value that is not of it."""
    read = _GENERIC.get(get_origin(hint))
    if read is not None:
        return read(get_args(hint), value)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return record(hint, value)
    return _SIMPLE[hint](value)


def _optional(hints: tuple[Any, ...], value: Any) -> Any:
    (hint,) = (each for each in hints if each is not type(None))
    return None if value is None else _value(hint, value)


def _one_of(known: tuple[Any, ...], value: Any) -> Any:
    if not isinstance(value, str) or value not in known:
        raise InputError(f"is not one of {', '.join(map(str, known))}")
    return value


def _tuple(hints: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    items = array(value)
    if hints[-1] is Ellipsis:
        return tuple(_value(hints[0], item) for item in items)
    if len(items) != len(hints):
        raise InputError(f"does not have {len(hints)} values")
    return tuple(_value(hint, item) for hint, item in zip(hints, items, strict=True))


def _list(hints: tuple[Any, ...], value: Any) -> list[Any]:
    return [_value(hints[0], item) for item in array(value)]


def _mapping(hints: tuple[Any, ...], value: Any) -> dict[str, Any]:
    return {words(key): _value(hints[1], item) for key, item in mapping(value).items()}


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError("true or false is missing")
    return value


_GENERIC: dict[Any, Callable[[tuple[Any, ...], Any], Any]] = {
    Union: _optional,
    types.UnionType: _optional,
    Literal: _one_of,
    tuple: _tuple,
    list: _list,
    Sequence: _list,
    dict: _mapping,
    Mapping: _mapping,
}
"""By type without its arguments, the function that checks a value; it takes the arguments."""
_SIMPLE: dict[Any, Any] = {
    float: finite,
    int: integer,
    str: words,
    bool: _boolean,
    object: tree,
    Any: tree,
}
"""By type, the function that checks a value."""
