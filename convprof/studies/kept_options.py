"""Which options of the user's command line the recommended next command line keeps.

The one place that knows it, for all commands. An answer recommends a line for its measurement;
the command line adds what the user gave.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convprof.dtypes import COMMON
from convprof.studies.next_command import IDLE

if TYPE_CHECKING:
    from collections.abc import Collection

    from convprof.studies.command_line import CommandLine

CONTESTANTS = ("layout", "threads", "dtype", "isa", "tune", "max_error")
"""Options with one meaning in every command that takes them."""
STRATEGY = "strategy"
_SAME_STRATEGIES = ("run", "roofline", "compare layouts")
"""Commands that take the same names; elsewhere the names are rungs, or of both sides."""
_MEASURING = ("cache", "budget", "rounds", "seed", "patience", "with_")
"""Kept where the recommended command is the user's own one."""
_SUBJECT = {
    "network": ("image", "mb", "dim", "real_weights", "input_"),
    "compare mixers": ("patch", "dim", "heads", "mb"),
}
"""Sizes and data that no other text of the line says."""
_ONE_VALUE = {"ladder": ("layout", "threads", "isa"), "network": ("layout",), "study": ("threads",)}
"""By the first word of a command: the options that take one value."""
_ONE_VALUE_OF_PLAN = ("isa",)
_COMMON_TYPES = ("network", "study", "ladder", "sweep")
"""First words of commands that may refuse another type than float32 and float64."""


def again(given: CommandLine) -> str:
    """Return the user's command once more, measured when other programs are idle.

    A sweep continues the file of its points and would measure none of them again.
    """
    line = given.without(("json_path",)) if given.name.startswith("sweep") else given
    return line.text(*(() if "wait_idle" in line.options else (IDLE,)))


def completed(line: CommandLine, given: CommandLine, takes: Collection[str]) -> CommandLine:
    """Return a recommended line with the user's options that it does not set itself.

    ``takes``: the parameters of its command.
    """
    added = {
        parameter: given.options[parameter]
        for parameter in _kept(line.name, given)
        if parameter in given.options and parameter in takes and parameter not in line.options
        if _fits(line, parameter, given.value(parameter))
    }
    return replace(line, options={**line.options, **added})


def _kept(name: str, given: CommandLine) -> tuple[str, ...]:
    """Return the parameters that a command keeps of the user's line."""
    strategy = (STRATEGY,) if {name, given.name} <= set(_SAME_STRATEGIES) else ()
    subject = _SUBJECT.get(name, ())
    if name == given.name:
        return (*subject, STRATEGY, *CONTESTANTS, *_MEASURING)
    if name == "network":  # the minibatch of its layers
        return ("mb", *CONTESTANTS)
    return (*strategy, *CONTESTANTS)


def _fits(line: CommandLine, parameter: str, value: str) -> bool:
    """Whether a command takes the value of an option."""
    word = line.name.partition(" ")[0]
    if parameter == "dtype" and value not in COMMON:
        return word not in _COMMON_TYPES
    of_plan = _ONE_VALUE_OF_PLAN if "plan" in line.options else ()
    if parameter not in (*_ONE_VALUE.get(word, ()), *of_plan):
        return True
    return "," not in value and not (value == "all" and parameter != "threads")
