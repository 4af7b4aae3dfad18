"""The command line at the end of an answer keeps what the user gave, for every command."""

from __future__ import annotations

import ast
from pathlib import Path

import click
import pytest

from convprof import cli, doubts
from convprof.cli import roofline, user_command
from convprof.studies import next_command
from convprof.studies.answer import Answer
from convprof.studies.study import STUDIES

PRODUCT, CONVOLUTION = "16x16:16x16", "mb1ic4ih8oc4kh3ph1"
QUICK = ["--budget", "0.001", "--rounds", "6", "-t", "1"]
IN_DOUBT = {
    "run": [PRODUCT, "-s", "naive", "--layout", "nhwc", "--dtype", "f64", *QUICK],
    "run of several": [PRODUCT, "8x8:8x8", "-s", "naive", *QUICK],
    "run of a shape": ["--gemm", "8x8x8", "-s", "naive,reordered", "--cache", "cold", *QUICK],
    "compare layouts": [CONVOLUTION, "-s", "direct", "--tune", "off", *QUICK],
    "compare peers": [PRODUCT, "-s", "naive,blas", "--seed", "3", *QUICK],
    "roofline": [PRODUCT, "-s", "naive", "--dtype", "f64", *QUICK],
    "ladder gemm": [PRODUCT, "-s", "naive", "--why", *QUICK],
    "sweep gemm": ["--range", "8,16", "-s", "naive", *QUICK],
    "network": ["lenet5", "--image", "16", "-s", "microkernel", "--fuse", *QUICK[:2], "-t", "1"],
}
"""The words of commands; a name may have ``of`` and more."""


@pytest.fixture
def _everything_in_doubt(monkeypatch):
    monkeypatch.setattr(doubts, "of_samples", lambda *_: "a test doubts it")
    monkeypatch.setattr(roofline, "measure_ceilings", lambda *_: None)


def line_of(capsys, words):
    """Run a command; return the line after ``next:``."""
    assert cli._status(words) == 0
    (line,) = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith("next: convprof ")
    ]
    return line.removeprefix("next: ")


def parsed(line):
    with click.Context(cli.cli, info_name="convprof"):
        return user_command.of(user_command.parsed(line))


@pytest.mark.usefixtures("_everything_in_doubt")
@pytest.mark.parametrize("name", IN_DOUBT)
def test_a_command_in_doubt_is_recommended_again_as_it_was(name, capsys):
    words = [*name.partition(" of ")[0].split(), *IN_DOUBT[name]]
    again = parsed(line_of(capsys, words))
    before = parsed(" ".join(["convprof", *words]))
    assert again.without(["wait_idle"]) == before
    assert again.options["wait_idle"] == ("--wait-idle",)


def after(user, recommended, *, measured=True):
    """Return the command line that a user sees after a command."""
    with click.Context(cli.cli, info_name="convprof"):
        context = user_command.parsed(user)
    with context:
        answer = Answer(("It is measured.",), recommended)
        return user_command.with_options(answer, measured=measured).command


@pytest.mark.parametrize(
    ("user", "recommended", "expected"),
    [
        (
            "convprof run -t 1,2 --isa avx2,avx512 --dtype f64 --budget 1 --max-error 0.001",
            "convprof compare peers a",
            "convprof compare peers a -t 1,2 --dtype f64 --isa avx2,avx512 --max-error 0.001",
        ),
        (
            "convprof run -s tiled,direct -t 1,2 --layout nhwc",
            "convprof roofline a -s tiled -t 2",
            "convprof roofline a -s tiled -t 2 --layout nhwc",
        ),
        (
            "convprof run -t 1,2 --layout all --isa avx2 --tune off --json r.json",
            "convprof ladder conv a",
            "convprof ladder conv a --isa avx2 --tune off",
        ),
        (
            "convprof run -t all --layout nhwc a",
            "convprof ladder gemm a",
            "convprof ladder gemm a -t all",
        ),
        (
            "convprof run b --input 1x2x3x3 --mb 4 --match x -s tiled --budget 0.5 --csv f",
            "convprof run a",
            "convprof run a -s tiled --budget 0.5",
        ),
        (
            "convprof run resnet50:* --mb 4 -t 1 --dtype bf16",
            "convprof network resnet50",
            "convprof network resnet50 --mb 4 -t 1",
        ),
        (
            "convprof network resnet50 --plan --with torch --tune full --json f -t 1,2",
            "convprof network resnet50 --fuse -t 1,2",
            "convprof network resnet50 -t 1,2 --fuse --tune full --with torch",
        ),
        (
            "convprof network a.onnx --dim n=1 --dim s=8 --output y --real-weights --input x.npy",
            "convprof network a.onnx --fuse",
            (
                "convprof network a.onnx --fuse --dim n=1 --dim s=8 --output y --real-weights "
                "--input x.npy"
            ),
        ),
        (
            "convprof network resnet50 --isa avx2,avx512 -t 1,2",
            "convprof network resnet50 --plan",
            "convprof network resnet50 --plan -t 1,2",
        ),
        (
            "convprof compare mixers --image 32 --patch 4 --dim 64 --heads 2 --with torch",
            "convprof compare mixers --images 28,56",
            "convprof compare mixers --images 28,56 --patch 4 --dim 64 --heads 2 --with torch",
        ),
        (
            "convprof sweep conv --layout nchw -t 1 --dtype f64 -s tiled",
            "convprof roofline a",
            "convprof roofline a --layout nchw -t 1 --dtype f64",
        ),
        (
            "convprof strategies a --layout nchw -t 2 --dtype f64",
            "convprof run a",
            "convprof run a --layout nchw -t 2 --dtype f64",
        ),
        (
            "convprof study threads --isa avx2 -t 2",
            "convprof run a -s packed,blas -t 1,2",
            "convprof run a -s packed,blas -t 1,2 --isa avx2",
        ),
        ("convprof ceilings -t 2", "convprof roofline", "convprof roofline -t 2"),
        ("convprof ceilings -t 2 --dtype all", "convprof roofline", "convprof roofline -t 2"),
        ("convprof ceilings -t 2 --dtype bf16", "convprof roofline", "convprof roofline -t 2"),
        (
            "convprof run a -t 2 --dtype bf16",
            "convprof roofline a -t 2",
            "convprof roofline a -t 2 --dtype bf16",
        ),
        ("convprof ladder gemm -s naive -t 1", "convprof explain tile", "convprof explain tile"),
        ("convprof run -t 1", "", ""),
    ],
)
def test_another_command_keeps_the_contestants(user, recommended, expected):
    line = after(user, recommended)
    assert line == expected


EVERYTHING = "convprof run a -t 1,2 --layout all --isa avx2,avx512 --dtype int8 -s tiled --tune off"
LINES = [
    *next_command.AFTER_STUDY.values(),
    *next_command.AFTER_LIMIT.values(),
    *(next_command.study_again(name) for name in STUDIES),
    next_command.after_tiles(64),
    next_command.after_threads(64, 2),
    next_command.plan_of("resnet50"),
    next_command.growth_of_mixers(16),
]


@pytest.mark.parametrize("line", dict.fromkeys(LINES))
def test_every_recommended_line_can_be_parsed(line):
    parsed(after(EVERYTHING, line))


def test_a_sweep_again_does_not_continue_its_file():
    user = "convprof sweep gemm --json points.jsonl --csv points.csv -s naive"
    with click.Context(cli.cli, info_name="convprof"):
        context = user_command.parsed(user)
    with context:
        again = user_command.with_options(Answer(("Doubt.",), repeats=True), measured=True)
    assert again.command == "convprof sweep gemm -s naive --csv points.csv --wait-idle"


def test_a_saved_document_has_no_command_of_the_user():
    line = "convprof run a --wait-idle"
    with click.Context(cli.cli, info_name="convprof"):
        context = user_command.parsed("convprof show file.json --all")
    with context:
        answer = Answer(("Doubt.",), line, repeats=True)
        assert user_command.with_options(answer, measured=False).command == line


AGAIN = {"again", "again_when_idle", "passes_again", "study_again"}


def calls_in(tree, names):
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    ]


def test_every_answer_that_measures_again_repeats_the_users_command():
    root = Path(cli.__file__).parents[1]
    answers = [
        (path.name, answer)
        for folder in ("studies", "render")
        for path in (root / folder).rglob("*.py")
        for answer in calls_in(ast.parse(path.read_text(encoding="utf-8")), {"Answer"})
        if calls_in(answer, AGAIN)
    ]
    assert len(answers) > 8
    silent = [
        name for name, answer in answers if "repeats" not in {word.arg for word in answer.keywords}
    ]
    assert silent == []
