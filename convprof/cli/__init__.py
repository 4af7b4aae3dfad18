"""The command line: parse the words, call the command, return the exit code.

A command is a file here and a line in COMMANDS.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from typing import Any

import click

from convprof.cli import seconds_flags, signals, start_environment
from convprof.cli.help_page import SETTINGS
from convprof.codegen import spare_threads
from convprof.errors import (
    EXIT_FAILURE,
    ConvprofError,
    InputError,
    cannot_map,
    import_reason,
    one_line,
)
from convprof.render import streams
from convprof.version import VERSION

COMMANDS = {
    "run": "Measure every strategy on a problem.",
    "compare": "Compare layouts, types, libraries, saved results.",
    "ceilings": "Measure peak FLOP/s and bandwidths.",
    "roofline": "Compare strategies with the ceilings.",
    "explain": "Work small examples by hand: conv, im2col, attention, ...",
    "ladder": "Climb from the naive loops to the peak, one idea a rung.",
    "sweep": "Measure strategies over a range of sizes, threads or tiles.",
    "show": "Show saved results again, or recover them.",
    "history": "List and draw saved results over time; mark changes.",
    "study": "Put one idea to the test: unroll, simd, fma, tile, threads, layout.",
    "network": "Run a whole network layer by layer, or plan it.",
    "fleet": "Run one suite on many hosts, and compare the hosts.",
    "diagnose": "Show where the time of a logged program went.",
    "trace": "Run a program with its libraries' logs on, and diagnose it.",
    "repro": "Write a library's measured call as a standalone program.",
    "show-features": "Draw what filters, a first layer and attention see.",
    "instructions": "Measure latency and throughput of instructions.",
    "sysinfo": "Show what this machine is and can do.",
    "cache": "List or clear what is stored on disk.",
    "strategies": "List strategies, and the problems that each refuses.",
}
"""Modules of this package, each with a click command ``command``, and a line for ``--help``.

A module is imported when its command runs; ``--help`` imports none of them.
"""

COMPLETE = "_CONVPROF_COMPLETE"
"""The variable with which a shell requests completions from click."""
_MOST_OPENBLAS_THREADS = 64
"""The most threads of the OpenBLAS in NumPy's wheels."""

_AGAIN = "Install it again: python -m pip install --upgrade --force-reinstall"
_NO_ARGUMENTS: tuple[type[click.UsageError], ...] = tuple(
    filter(None, [getattr(click.exceptions, "NoArgsIsHelpError", None)])
)
"""The error of click 8.2 and newer for a group without arguments; older versions print help."""


class _LazyGroup(click.Group):
    """A group whose commands are modules, imported at first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the commands in reading order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command with a name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"convprof.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first word names; UsageError for an unknown word.

        click 8.1 treats a word that begins with neither a letter nor a digit as options, and prints
        the help of the group as if there were no word.
        """
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from convprof.cli import suggestions

            ctx.fail(suggestions.unknown_command(args[0], COMMANDS))
        if args and not args[0].isalnum() and args[0] not in COMMANDS:
            ctx.fail(f"No such command {args[0]!r}.")
        return super().resolve_command(ctx, seconds_flags.with_seconds(args))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the commands from the list above."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings=SETTINGS)
@click.version_option(VERSION, "-V", "--version", message="convprof %(version)s")
def cli() -> None:
    """Profile convolutions and matrix products on this CPU.

    How fast is it, how fast could it be, why is there a gap, and what would close it?

    Completion in bash: eval "$(_CONVPROF_COMPLETE=bash_source convprof)"; in zsh and fish:
    zsh_source, fish_source.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit.

    0 ok, 1 failure, 2 bad input, 3 wrong result, 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP.
    """
    start_environment.save()
    # OpenBLAS reads this when it is loaded: its idle threads spin 2^22 cycles (about 2 ms) instead
    # of 2^26, so that they do not take a core from the next contestant.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "22")
    # If a thread does not start, OpenBLAS interrupts the process while it is loaded.
    more = min(os.cpu_count() or 1, _MOST_OPENBLAS_THREADS) - 1
    if spare_threads.startable(more) < more:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if COMPLETE in os.environ:  # click writes bytes, which guarded streams refuse
        cli.main(prog_name="convprof")
    streams.occupy_closed()
    words = sys.argv[1:] if arguments is None else arguments
    data_on_stdout = any(word == "-" or word.endswith("=-") for word in words)
    with streams.data_alone() if data_on_stdout else contextlib.nullcontext():
        status = _status(arguments)
    sys.exit(status)


def _status(arguments: list[str] | None) -> int:
    with streams.guarded() as (out, err), signals.handled():
        try:
            return _told(_answered(arguments), out, err)
        except KeyboardInterrupt:  # a further signal while the first is reported
            return signals.exit_code()


def _answered(arguments: list[str] | None) -> int:
    """Run the command; print the error that ended it, and return the exit code."""
    try:
        result = _run(arguments)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.ClickException as error:
        asked = getattr(error, "ctx", None)
        path = asked.command_path if asked else "convprof"
        click.echo(f"{path}: {one_line(_usage(error))} (see '{path} --help')", err=True)
        return error.exit_code
    except ConvprofError as error:
        from convprof.cli import flags

        command = _command(arguments) if isinstance(error, InputError) else None
        click.echo(f"convprof: {one_line(flags.message(error, command))}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        name = signals.name()
        click.echo(f"convprof: interrupted{f' by {name}' if name else ''}", err=True)
        return signals.exit_code()
    # a refusal of the system is not an error of the program
    except (MemoryError, OSError) as error:
        from convprof.cli import driver

        click.echo(f"convprof: {driver.reason(error)}", err=True)
        return EXIT_FAILURE
    return result if isinstance(result, int) else 0


def _usage(error: click.ClickException) -> str:
    """Return the message of a usage error, with the nearest valid words."""
    if isinstance(error, click.NoSuchOption):
        from convprof.cli import suggestions

        return suggestions.unknown_option(error)
    return error.format_message()


def _command(arguments: list[str] | None) -> click.Command | None:
    """Return the command that the first word names."""
    words = sys.argv[1:] if arguments is None else arguments
    with click.Context(cli) as context:
        return cli.get_command(context, words[0]) if words else None


def _told(status: int, out: streams.Guarded, err: streams.Guarded) -> int:
    """Return the exit code: not 0 if printed text has not arrived."""
    out.flush()
    if out.lost is not None:
        click.echo(f"convprof: stdout cannot be written: {out.lost}", err=True)
        status = status or EXIT_FAILURE
    err.flush()
    if err.lost is not None and not err.closed_before:
        status = status or EXIT_FAILURE
    return status


def _run(arguments: list[str] | None) -> Any:
    """Run the command and return its result, the same with every version of click."""
    try:
        return cli.main(args=arguments, prog_name="convprof", standalone_mode=False)
    except _NO_ARGUMENTS as error:
        # A group without a command prints its help and is no error. From click 8.5 on the message
        # of the error has a different form of the help.
        click.echo(error.ctx.get_help() if error.ctx else error.format_message())
        return 0
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package == "convprof":
            raise  # an error of convprof, not of the installation
        reason = import_reason(error)
        raise ConvprofError(
            f"{package or 'a package that convprof needs'} cannot be imported ({reason}). "
            + (cannot_map(reason) or f"{_AGAIN} {package or 'convprof'}")
        ) from error
