"""Help pages, the examples in them, completion, and the public names."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import click
import pytest

import convprof
from convprof import cli
from convprof.cli.examples import EXAMPLES
from convprof.cli.help_page import GROUPS, OTHERS


def run(capsys, *words):
    status = cli._status(list(words))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def command_of(words):
    """Return the command that the words begin with, and the rest of the words."""
    command = cli.cli
    for at, word in enumerate(words):
        if not isinstance(command, click.Group):
            return command, words[at:]
        command = command.get_command(click.Context(command), word)
    return command, []


@pytest.mark.parametrize("example", [line for lines in EXAMPLES.values() for line in lines])
def test_an_example_is_a_command_line_of_its_command(example):
    words = shlex.split(example)
    command, rest = command_of(words)
    command.make_context("x", rest, resilient_parsing=False)
    own = next(name for name, lines in EXAMPLES.items() if example in lines)
    assert example.startswith(own)


def every_command(command, name=""):
    """Yield the name of each command, groups among them."""
    yield name
    context = click.Context(command)
    if isinstance(command, click.Group):
        for word in command.list_commands(context):
            yield from every_command(command.get_command(context, word), f"{name} {word}".strip())


@pytest.mark.parametrize("name", [name for name in every_command(cli.cli) if name])
def test_every_command_has_an_example(name, capsys):
    status, out, _ = run(capsys, *name.split(), "--help")
    assert status == 0
    assert f"    convprof {name}" in out[out.index("Examples:\n") :]


def test_the_help_of_a_number_has_a_word_of_its_own_and_no_limit_that_is_not_there():
    for name in filter(None, every_command(cli.cli)):
        command, _ = command_of(name.split())
        context = click.Context(command)
        records = [each.get_help_record(context) for each in command.get_params(context)]
        for option, text in filter(None, records):
            assert " NUMBER" not in option, (name, option)
            assert "None" not in text, (name, option)


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["compare", "peer"], "compare: No such command 'peer': did you mean peers?"),
        (["explain", "conf"], "explain: No such command 'conf': did you mean conv?"),
        (["ladder", "gem"], "ladder: No such command 'gem': did you mean gemm?"),
        (["sweep", "xyz"], "sweep: No such command 'xyz'."),
    ],
)
def test_near_subcommands_are_named(words, near, capsys):
    status, _, err = run(capsys, *words)
    assert status == 2
    assert err.startswith(f"convprof {near} (see ")


@pytest.mark.parametrize(
    ("words", "without", "example"),
    [
        (["run"], ["Hosts"], "run 'resnet50:layer1*' -s microkernel"),
        (["fleet", "run"], [], "fleet run 'resnet50:layer1*' --workers 2 --json fleet.jsonl"),
    ],
)
def test_the_help_of_a_command_has_groups_and_examples(capsys, words, without, example):
    status, out, _ = run(capsys, *words, "--help")
    assert status == 0
    headings = [line for line in out.splitlines() if line.endswith(":") and line[0] != " "]
    groups = [f"{name}:" for name in GROUPS if name not in without]
    assert headings == [*groups, f"{OTHERS}:", "Examples:"]
    assert f"    convprof {example}\n" in out


@pytest.mark.parametrize("columns", [80, 140])
def test_help_takes_the_width_of_the_terminal(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    widest = max(map(len, run(capsys, "run", "--help")[1].splitlines()))
    assert columns - 15 < widest <= columns


def test_version_has_a_short_flag(capsys):
    assert run(capsys, "-V") == (0, f"convprof {convprof.__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["run", "-s", "tiled,micro"], ["tiled,microkernel"]),
        (["run", "resnet50:layer1.0.conv"], [f"resnet50:layer1.0.conv{n}" for n in (1, 2, 3)]),
        (["run", "resnet50", ":", "layer1.0.conv"], [f"layer1.0.conv{n}" for n in (1, 2, 3)]),
        (["run", "mobilenet"], ["mobilenet-v1", "mobilenet-v2"]),
        (["run", "--isa", "avx"], ["avx2", "avx512"]),
        (["run", "--dtype", "f"], ["f32", "f64", "f16", "f16:f16:f32"]),
        (["run", "--weight-dtype", "int4"], ["int4"]),
        (["run", "--layout", "nh"], ["nhwc"]),
        (["compare", "mixers", "--with", "tor"], ["torch"]),
        (["network", "vit-b"], ["vit-b16"]),
        (["roof"], ["roofline"]),
    ],
    ids=lambda value: " ".join(value[-2:]),
)
def test_a_shell_completes_names_without_numba(words, completed):
    code = (
        "import atexit, sys; from convprof.cli import main; "
        "atexit.register(lambda: print('numba' in sys.modules, file=sys.stderr)); main()"
    )
    environment = {
        **os.environ,
        "_CONVPROF_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["convprof", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert [line.partition(",")[2] for line in done.stdout.splitlines()] == completed
    assert done.stderr == "False\n"


def test_dir_has_the_public_names():
    assert dir(convprof) == sorted(convprof.__all__)


@pytest.mark.parametrize(
    ("words", "types"),
    [
        ("run", {"f32", "f64", "bf16", "f16", "int8", "SOURCE:WEIGHTS:RESULT"}),
        ("network", {"f32", "f64", "bf16", "f16", "int8"}),
        ("ceilings", {"f32", "f64", "bf16", "int8", "all"}),
        ("repro", {"f32", "f64"}),
        ("study unroll", {"f32", "f64"}),
    ],
)
def test_the_help_of_a_command_has_the_types_that_it_takes(words, types):
    command, _ = command_of(words.split())
    (option,) = [each for each in command.params if each.name == "dtype"]
    assert set(option.metavar.split("|")) == types


@pytest.mark.parametrize("words", ["run", "roofline", "compare peers", "sweep gemm", "fleet run"])
def test_the_help_names_the_types_of_a_shape_file_where_they_hold(words):
    command, _ = command_of(words.split())
    (option,) = [each for each in command.params if each.name == "dtype"]
    takes_file = any(each.name == "batch" for each in command.params)
    assert option.help.endswith("shape file says.") == takes_file


def test_the_help_of_types_says_which_problems_take_them(capsys):
    from convprof.dtypes import ATTENTION_BYTES, COMMON, PRODUCTS, SHORT_FLOATS
    from convprof.strategies import registry

    _, out, _ = run(capsys, "run", "--help")
    said = "attention f32, f64, bf16, f16 and s8:s8:f32, :s8, :u8; backward passes f32 and f64"
    assert f"Convolutions and matrix products take all; {said}" in " ".join(out.split())
    own = {
        kind: {name for s in registry.strategies(kind) if not s.role.is_peer for name in s.dtypes}
        for kind in registry.KINDS
    }
    assert own["conv2d"] == own["gemm"] == set(PRODUCTS)
    assert own["attention"] == {*COMMON, *SHORT_FLOATS, *ATTENTION_BYTES}
    for kind in (kind for kind in own if "-backward-" in kind):
        assert own[kind] == set(COMMON)
