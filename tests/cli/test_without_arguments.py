"""What does not depend on click's version: help, usage errors, broken installations."""

from __future__ import annotations

import importlib

import click
import pytest

from convprof import __version__, cli
from convprof.errors import ToolchainError

AGAIN = "Install it again: python -m pip install --upgrade --force-reinstall"
GROUPS = [[], ["compare"], ["ladder"], ["sweep"], ["fleet"]]


def run(capsys, *words):
    status = cli._status(list(words))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("words", GROUPS, ids=" ".join)
def test_a_group_alone_is_a_question_for_its_help(capsys, words):
    status, out, err = run(capsys, *words)
    assert (status, err) == (0, "")
    assert out == run(capsys, *words, "--help")[1]
    assert out.startswith(f"Usage: {' '.join(['convprof', *words])} [OPTIONS] COMMAND")
    assert out.endswith("\n")


def test_every_group_is_tried():
    """A group that needs a command is in the list above."""
    context = click.Context(cli.cli)
    commands = {name: cli.cli.get_command(context, name) for name in cli.COMMANDS}
    groups = [name for name, command in commands.items() if isinstance(command, click.Group)]
    silent = [[name] for name in groups if not commands[name].invoke_without_command]
    assert [[], *silent] == GROUPS


@pytest.mark.parametrize(
    ("words", "path", "named"),
    [
        (["nope"], "convprof", "nope"),
        (["--nope"], "convprof", "--nope"),
        (["run", "--nope"], "convprof run", "--nope"),
        (["compare", "nope"], "convprof compare", "nope"),
        (["sweep", "gemm", "--nope"], "convprof sweep gemm", "--nope"),
        (["run", "--gemm", "8x8x8", "--budget", "x"], "convprof run", "--budget"),
    ],
    ids=" ".join,
)
def test_a_usage_error_is_one_line_that_names_the_value_and_the_help(capsys, words, path, named):
    status, out, err = run(capsys, *words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"{path}: ")
    assert named in err
    assert err.endswith(f"(see '{path} --help')\n")
    assert "Usage:" not in err


@pytest.mark.parametrize("words", [["--version"], ["--version", "run"]])
def test_version(capsys, words):
    assert run(capsys, *words) == (0, f"convprof {__version__}\n", "")


SOME = "a package that convprof needs"
MORE = "Give the process more memory (ulimit -v), or a disk that is not mounted noexec"


def caused(text, cause):
    error = ImportError(text)
    error.__cause__ = ImportError(cause)
    return error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            ModuleNotFoundError("No module named 'rich'", name="rich"),
            f"rich cannot be imported (No module named 'rich'). {AGAIN} rich",
        ),
        (
            ImportError("\nREAD THIS\nthe C extensions failed"),
            f"{SOME} cannot be imported (READ THIS). {AGAIN} convprof",
        ),
        (
            caused("IMPORTANT: READ THIS\n\nAdvice", "libopenblas.so: no such symbol"),
            f"{SOME} cannot be imported (libopenblas.so: no such symbol). {AGAIN} convprof",
        ),
        (
            caused("IMPORTANT: READ THIS", "x.so: failed to map segment from shared object"),
            f"{SOME} cannot be imported (x.so: failed to map segment from shared object). {MORE}",
        ),
        (ToolchainError("numba 0.61.0 is too old"), "numba 0.61.0 is too old"),
    ],
)
def test_a_broken_installation_is_one_line(capsys, monkeypatch, error, line):
    def broken(_):
        raise error

    monkeypatch.setattr(importlib, "import_module", broken)
    assert run(capsys, "strategies") == (1, "", f"convprof: {line}\n")


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch):
    def broken(name):
        raise ImportError(f"cannot import name 'x' from {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(ImportError, match=r"convprof\.cli\.strategies"):
        cli._status(["strategies"])
