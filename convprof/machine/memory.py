"""How much memory there is, and how much of it a buffer may still take."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.machine import cgroup
from convprof.machine.host import this_machine

if TYPE_CHECKING:
    from convprof.machine.sources import Source

_THP = "sys/kernel/mm/transparent_hugepage/enabled"


@dataclass(frozen=True)
class Memory:
    """Memory in bytes; `available_bytes` is a state and changes by the second."""

    total_bytes: int | None
    """Of the machine."""
    limit_bytes: int | None
    """What the container allows; None when unlimited."""
    limit_name: str | None
    """What sets the limit: the cgroup's ``memory.max``, ``memory.high`` …; None when unlimited."""
    available_bytes: int | None
    """Without swapping and within the container's limit, when the facts were taken."""
    transparent_huge_pages: str | None
    """``always``, ``madvise`` or ``never``."""


def detect(source: Source) -> Memory:
    """Return the machine's memory; unknown parts are None."""
    total, free = source.memory() or (None, None)
    limit = cgroup.memory_limit(source)
    chosen = re.search(r"\[(\w+)\]", source.read(_THP) or "")
    return Memory(
        total_bytes=total,
        limit_bytes=limit.limit_bytes if limit else None,
        limit_name=limit.name if limit else None,
        available_bytes=_least(free, limit.left_bytes if limit else None),
        transparent_huge_pages=chosen[1] if chosen else None,
    )


def available_bytes(source: Source | None = None) -> int | None:
    """Return the bytes that may be allocated now, within the container's limit."""
    return detect(this_machine() if source is None else source).available_bytes


def _least(*values: int | None) -> int | None:
    return min((value for value in values if value is not None), default=None)
