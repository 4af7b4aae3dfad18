"""What the CPU is (facts) and what it can do (ceilings, clock, counters, noise).

`facts()` reads and never measures. The function hides the module of the same name: take other
names of that module with ``from convprof.machine.facts import …``.
"""

from convprof.machine.facts import Facts, facts

__all__ = ["Facts", "facts"]
