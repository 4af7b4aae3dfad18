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
_MEASURING = ("cache", "budget", "rounds", "seed", "patience", "isolate", "with_", "processes")
"""Kept where the recommended command is the user's own one."""
_SUBJECT = {
    "network": ("image", "mb", "dim", "output", "real_weights", "input_"),
    "compare mixers": ("patch", "dim", "heads", "mb"),
}
"""Sizes and data that no other text of the line says."""
_ONE_VALUE = {"ladder": ("layout", "threads", "isa"), "network": ("layout",), "study": ("threads",)}
"""By the first word of a command: the options that take one value."""
_ONE_VALUE_OF_PLAN = ("isa",)
_COMMON_TYPES = ("network", "study", "ladder", "sweep")
"""First words of commands that may refuse another type than float32 and float64."""


def again(user: CommandLine) -> str:
    """Return the user's command once more, measured when other programs are idle.

    A sweep continues the file of its points and would measure none of them again.
    """
    line = user.without(("json_path",)) if user.name.startswith("sweep") else user
    return line.text(*(() if "wait_idle" in line.options else (IDLE,)))


def completed(line: CommandLine, user: CommandLine, takes: Collection[str]) -> CommandLine:
    """Return a recommended line with the user's options that it does not set itself.

    ``takes``: the parameters of its command.
    """
    added = {
        parameter: user.options[parameter]
        for parameter in _kept(line.name, user)
        if parameter in user.options and parameter in takes and parameter not in line.options
        if _fits(line, user, parameter)
    }
    return replace(line, options={**line.options, **added})


def _kept(name: str, user: CommandLine) -> tuple[str, ...]:
    """Return the parameters that a command keeps of the user's line."""
    strategy = (STRATEGY,) if {name, user.name} <= set(_SAME_STRATEGIES) else ()
    subject = _SUBJECT.get(name, ())
    if name == user.name:
        return (*subject, STRATEGY, *CONTESTANTS, *_MEASURING)
    if name == "network":  # the minibatch of its layers
        return ("mb", *CONTESTANTS)
    return (*strategy, *CONTESTANTS)


def _fits(line: CommandLine, user: CommandLine, parameter: str) -> bool:
    """Whether a command takes the user's value of an option."""
    value, word = user.value(parameter), line.name.partition(" ")[0]
    if line.name == "compare dtypes" and "weight_dtype" in user.options and parameter == "dtype":
        return False  # weights of 8 and 4 bits take part where no type is named
    single = "," not in value and not (value == "all" and parameter != "threads")
    if "plan" in line.options and parameter in _ONE_VALUE_OF_PLAN:
        return single
    if line.name == user.name:
        return True
    if parameter == "dtype" and value not in COMMON:  # without a problem it is a convolution
        return single and bool(line.arguments) and word not in _COMMON_TYPES
    return single or parameter not in _ONE_VALUE.get(word, ())
