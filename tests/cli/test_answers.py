"""The answer of every command is on the last screen of a terminal of 80 columns and 24 rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from convprof import cli
from convprof.measure import session
from convprof.render import answer
from convprof.studies.explain import TOPICS
from convprof.studies.study import STUDIES

COLUMNS = 80
ROWS = 23
"""One row is the shell's, with its prompt."""

QUICK = ["--budget", "0.001", "--rounds", "6", "-t", "1"]
CHAIN = ["--budget", "0.001", "--tune", "off", "-t", "1"]
PRODUCT, CONVOLUTION = "16x16:16x16", "mb1ic4ih8oc4kh3ph1"
MIXERS = ["compare", "mixers", "--patch", "4", "--dim", "32", "--heads", "2", *QUICK]
SMALL = {"tile": ["--size", "64"], "threads": ["--size", "8,16"]}
OLD = Path(__file__).parents[1] / "data" / "v1"
COMMANDS = [
    ["run", CONVOLUTION, "-s", "tiled,direct,im2col,microkernel", *QUICK],
    ["run", CONVOLUTION, "-s", "microkernel", "--all", "--phases", "--asm", "--explain", *QUICK],
    ["run", PRODUCT, "8x8:8x8", "-s", "naive,packed", *QUICK],
    ["run", PRODUCT, "-s", "naive", "--pass", "training", *QUICK],
    ["compare", "layouts", CONVOLUTION, "-s", "tiled,direct", *QUICK],
    ["compare", "peers", PRODUCT, "-s", "naive,blas", *QUICK],
    [*MIXERS, "--image", "8"],
    [*MIXERS, "--images", "8,16"],
    ["roofline", PRODUCT, "-s", "packed", *QUICK],
    ["ladder", "gemm", PRODUCT, "--why", *QUICK],
    ["ladder", "conv", CONVOLUTION, *QUICK],
    ["sweep", "gemm", "--range", "8,16,32", "-s", "naive,packed", *QUICK],
    ["network", "lenet5", *CHAIN],
    ["network", "lenet5", "--plan", *CHAIN],
    ["network", "lenet5", "--pass", "training", *CHAIN],
    ["network", "resnet50", "--summary"],
    ["strategies"],
    ["strategies", CONVOLUTION],
    ["sysinfo"],
    ["ceilings", "-t", "1"],
    ["instructions", "--match", "^fma"],
    *(["study", name, *SMALL.get(name, []), "--budget", "0.001"] for name in STUDIES),
    ["show", OLD / "run.json"],
    ["show", OLD / "ladder.json"],
    ["compare", "results", OLD / "run.json", OLD / "run.json"],
    ["study"],
    ["explain"],
]


@pytest.fixture
def sentences(monkeypatch):
    """Return the sentences of printed answers, in order."""
    printed, say = [], answer.say

    def recorded(console, *lines, **style):
        printed.extend(lines)
        say(console, *lines, **style)

    monkeypatch.setattr(answer, "say", recorded)
    monkeypatch.setattr(session, "settle", lambda: None)
    return printed


def last_screen(text):
    """Return what a terminal shows at the end, its rows joined."""
    starts = [
        line[start : start + COLUMNS]
        for line in text.splitlines()
        for start in range(0, max(1, len(line)), COLUMNS)
    ]
    return "".join(starts[-ROWS:])


@pytest.fixture
def screen(capsys, monkeypatch):
    """Run a command that succeeds; return its last screen."""
    monkeypatch.setenv("COLUMNS", str(COLUMNS))

    def run(words):
        assert cli._status([str(word) for word in words]) == 0
        return last_screen(capsys.readouterr().out)

    return run


@pytest.mark.parametrize(
    "words", COMMANDS, ids=lambda words: " ".join(getattr(word, "name", word) for word in words)
)
def test_the_answer_is_on_the_last_screen(words, sentences, screen):
    shown = screen(words)
    assert sentences[0] in shown


@pytest.mark.parametrize("topic", TOPICS)
def test_what_a_topic_shows_is_on_the_last_screen(topic, screen):
    shown = screen(["explain", topic])
    ends = ("checked: ", "check failed: ", "What to take from this")  # the machine may be busy
    assert any(end in shown for end in ends)
    assert "next: convprof " in shown
