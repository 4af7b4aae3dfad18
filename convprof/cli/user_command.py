"""The user's command line, and the next one that an answer recommends."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from convprof.cli import seconds_flags
from convprof.errors import InputError
from convprof.studies.command_line import CommandLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.studies.answer import Answer

_PRINTING = frozenset({"-h", "--help", "-V", "--version"})
"""Options that print when they are parsed."""


def given() -> CommandLine:
    """Return the user's command line: what the user gave, without defaults."""
    return of(click.get_current_context())


def of(context: click.Context) -> CommandLine:
    """Return what a parsed command line says, without defaults."""
    words = {
        parameter.name or "": parameter
        for parameter in context.command.params
        if context.get_parameter_source(parameter.name or "")
        is click.core.ParameterSource.COMMANDLINE
    }
    arguments, options = [], {}
    for name, parameter in words.items():
        values = _values(context.params[name])
        if isinstance(parameter, click.Option):
            options[name] = tuple(_option(parameter, values))
        else:
            arguments += [word for words in values for word in words]
    path = context.command_path.split()[1:]
    return CommandLine(" ".join(path), tuple(arguments), options)


def _values(value: object) -> list[list[str]]:
    """Return the words of each value; an option with two words has tuples."""
    values = value if isinstance(value, tuple) else (value,)
    return [list(map(str, each)) if isinstance(each, tuple) else [str(each)] for each in values]


def _option(option: click.Option, values: list[list[str]]) -> Iterable[str]:
    """Yield the words of an option, in its short form if it has one."""
    flag = min(option.opts, key=len)
    if option.is_flag or seconds_flags.is_default(
        flag, [word for words in values for word in words]
    ):
        yield flag
        return
    for words in values:
        yield from (flag, *words)


def recorded(words: Sequence[str]) -> CommandLine | None:
    """Return the command line that a saved document records; None if it cannot be parsed.

    The words may come from a stranger: they are parsed, and nothing is run.
    """
    if not words or _PRINTING & set(words):
        return None
    try:
        return of(_parsed(list(words)))
    except (click.ClickException, click.exceptions.Exit, InputError):
        return None


def with_options(answer: Answer, *, measured: bool, document: CommandLine | None = None) -> Answer:
    """Return an answer whose command line has the options that the user gave.

    ``measured``: the user's command measured, so that it can measure again. ``document``: the
    command line of a saved document; the user's own options hold before its options.
    """
    from convprof.studies.kept_options import again, completed

    context = click.get_current_context(silent=True)
    if context is None:
        return answer
    user = of(context)
    if document is not None:
        user = replace(document, options={**document.options, **user.options})
    if answer.repeats and measured:
        return replace(answer, command=again(user))
    if not answer.command:
        return answer
    after = parsed(answer.command)
    takes = {parameter.name or "" for parameter in after.command.params}
    return replace(answer, command=completed(of(after), user, takes).text())


def parsed(line: str) -> click.Context:
    """Return the parsed words of a command line of convprof. Nothing is run."""
    return _parsed(shlex.split(line)[1:])


def _parsed(words: list[str]) -> click.Context:
    context = click.get_current_context().find_root()
    command = context.command
    while isinstance(command, click.Group) and words:
        name, *words = words
        subcommand = command.get_command(context, name)
        if subcommand is None:
            raise click.UsageError(f"No such command {name!r}.", context)
        command = subcommand
        if isinstance(command, click.Group):
            context = click.Context(command, context, name)
    return command.make_context(name, seconds_flags.with_seconds(words), context)
