"""Numbers out of the texts that kernels print; what makes no sense is None."""

from __future__ import annotations

CPU_LIMIT = 1 << 16
"""No kernel numbers CPUs this high (Linux x86 stops at 8192): larger numbers are junk."""

_FACTORS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def integer(text: str | None, low: int = 0, high: int = (1 << 63) - 1) -> int | None:
    """Return the integer (``0x`` accepted), or None when it is no integer in [low, high]."""
    if text is None:
        return None
    try:
        value = int(text.strip(), 16 if text.strip().lower().startswith("0x") else 10)
    except ValueError:
        return None
    return value if low <= value <= high else None


def size_bytes(text: str | None, high: int) -> int | None:
    """Return the bytes of ``48K``, ``32M`` or ``65536``; None when not in [1, high]."""
    if not text or not text.strip():
        return None
    body = text.strip()
    factor = _FACTORS.get(body[-1].upper())
    count = integer(body[:-1] if factor else body, low=1, high=high)
    return None if count is None else integer(str(count * (factor or 1)), high=high)


def cpu_list(text: str | None) -> tuple[int, ...] | None:
    """Return the CPUs of a kernel list such as ``0-3,8``, sorted; an empty list is ``()``."""
    if text is None:
        return None
    cpus: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, dash, last = part.partition("-")
        low = integer(first, high=CPU_LIMIT)
        high = integer(last, high=CPU_LIMIT) if dash else low
        if low is None or high is None or high < low:
            return None
        cpus.update(range(low, high + 1))
    return tuple(sorted(cpus))
