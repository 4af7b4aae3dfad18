"""Before measuring: warn that the machine is busy, or wait until it is idle (``--wait-idle``)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from convprof.machine.load import Waiting

FLAG = "--wait-idle"


def before_measuring(
    wait_s: float | None,
    follow: Callable[[Iterable[str]], None],
    remark: Callable[[str], None],
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Check the load; with ``wait_s`` wait at most this long until other programs are idle.

    ``meanwhile`` is work of this process that takes about as long as a look at the work of others.
    """
    from convprof.machine import load

    now = load.look() if meanwhile is None else load.look(sleep=_working(meanwhile))
    if not wait_s:
        if now is not None and now.busy:
            how = f"{FLAG} waits" if wait_s is None else f"{FLAG} 0 does not wait"
            remark(f"busy: other programs use {now}, so times will be too long; {how}")
        return
    if now is None:
        remark(f"{FLAG}: this system does not report the load of the CPUs: measured at once")
    elif now.busy:
        remark(f"busy: other programs use {now}; waiting until they end, at most {wait_s:g} s")
        follow(_waiting(load.wait(wait_s, load.look), remark))


def _working(work: Callable[[], None]) -> Callable[[float], None]:
    """Return a sleep that works, and sleeps for the rest of the time."""

    def sleep(seconds: float) -> None:
        end = time.monotonic() + seconds
        work()
        time.sleep(max(0.0, end - time.monotonic()))

    return sleep


def _waiting(steps: Iterable[Waiting], remark: Callable[[str], None]) -> Iterator[str]:
    for step in steps:
        yield f"waiting: other programs use {step.load}, {step.left_s:.0f} s left"
        if step.left_s <= 0:
            remark(f"still busy: other programs use {step.load}; measured anyway")
