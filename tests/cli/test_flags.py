"""The flags of errors: only the command line knows them, and each is one that exists."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest

import convprof
from convprof import api, cli
from convprof.cli import flags
from convprof.errors import InputError, NotAResultError, UnknownNameError

ROOT = Path(convprof.__file__).parent
OTHER_PROGRAMS = {
    ("machine/host.py", "--json"),
    ("studies/fleet/task.py", "--json"),
    ("studies/fleet/task.py", "--quiet"),
    ("studies/ladder/saved.py", "--size"),
}
"""Flags that are words of a command for another program, or of the command that wrote a file."""


@pytest.fixture(scope="module")
def known():
    return flags.flags(cli.cli)


@dataclass
class Words:
    """What a module says: (module, text) of string literals, and the fields that errors name."""

    texts: list[tuple[str, str]] = field(default_factory=list)
    fields: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def words():
    """Return the words of the modules below the command line.

    The trees of the modules, a million objects, are dropped one after the other.
    """
    words = Words()
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(("cli/", "render/")):
            nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
            words.texts += [(name, text) for text in texts_of(nodes)]
            words.fields |= set(fields_of(nodes))
    return words


def texts_of(nodes):
    """Yield the string literals of a module that are not documentation."""
    documentation = {
        id(node.value)
        for node in nodes
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in nodes:
        literal = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if literal and id(node) not in documentation:
            yield node.value


def fields_of(nodes):
    """Yield the literals of arguments ``field=``."""
    for node in nodes:
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg == "field" and isinstance(keyword.value, ast.Constant):
                    yield keyword.value.value


COMMAND_LINES = ("answer.py", "next_command.py")
"""Ends of the names of files that recommend command lines: an answer is no message of an error."""


def test_no_message_below_the_command_line_names_a_flag(known, words):
    long = "|".join(sorted(map(re.escape, known.values()), key=len, reverse=True))
    # --mb=4 is an option in a file of benchdnn; -s, -t, -q and -o are our short flags.
    pattern = re.compile(rf"(?<![\w-])(?:{long})(?![\w=-])|(?<![\w-])-[stqo](?= )")
    wrong = [
        (name, match.group())
        for name, text in words.texts
        for match in pattern.finditer(text)
        if (name, match.group()) not in OTHER_PROGRAMS and not name.endswith(COMMAND_LINES)
    ]
    assert wrong == []


def test_every_field_of_an_error_is_a_flag(known, words):
    assert "threads" in words.fields
    assert {each for each in words.fields if flags.WORDS.get(each, each) not in known} == set()


def command_of(*names):
    command = cli.cli
    for name in names:
        command = command.get_command(click.Context(command), name)
    return command


def test_a_field_is_a_flag_of_the_command_that_has_it():
    error = InputError("too many", field="threads", value=9)
    assert str(error) == "threads=9: too many"
    assert flags.message(error) == "threads=9: too many"
    assert flags.message(error, command_of("run")) == "--threads 9: too many"
    assert flags.message(error, command_of("instructions")) == "threads=9: too many"
    size = InputError("must be at least 1", field="n", value=0)
    assert flags.message(size, command_of("run")) == "n=0: must be at least 1"


def test_flags_of_subcommands_and_of_other_words():
    error = UnknownNameError.of("of gemm", "foo", ["blas"], field="library")
    assert str(error) == "unknown library of gemm 'foo': known: blas"
    expected = "unknown --with of gemm 'foo': known: blas"
    assert flags.message(error, command_of("compare")) == expected
    dims = InputError("set N and s", field="dim", examples=["N=1", "s=224"], where="net.onnx")
    expected = "net.onnx: set N and s, e.g. --dim N=1 --dim s=224"
    assert flags.message(dims, command_of("network")) == expected
    within = InputError("5 is odd").within("size", "4,5")
    assert flags.message(within, command_of("ladder")) == "--size 4,5: 5 is odd"


def test_other_errors_keep_their_text():
    assert flags.message(ValueError("no"), command_of("run")) == "no"
    error = NotAResultError("x: not a result of convprof")
    assert flags.message(error).endswith("of convprof. Write one with: convprof run --json FILE")


def test_python_speaks_of_arguments():
    with pytest.raises(InputError, match=r"^threads=0: "):
        api.check_threads(0)
