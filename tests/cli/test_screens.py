"""What commands print, to the letter, in terminals of 80x24 and of 140x50; the answer is in sight.

Only commands that measure nothing: their screens are the same on every machine. The tables of the
measuring commands are in tests/render, and `test_answers.py` looks for their answers.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from convprof import cli

DATA = Path(__file__).parents[1] / "data"
SCREENS = Path(__file__).with_name("screens")
SIZES = [(80, 24), (140, 50)]
COMMANDS = {
    "show-run": ["show", "run.json"],
    "show-run-all": ["show", "run.json", "--all"],
    "show-layouts": ["show", "layouts.json"],
    "show-peers": ["show", "peers.json"],
    "show-ladder": ["show", "ladder.json"],
    "show-mixers": ["show", "mixers.json"],
    "show-network": ["show", "network.json"],
    "show-plan": ["show", "plan.json"],
    "show-training": ["show", "training.json"],
    "show-journal": ["show", "peers.json.journal"],
    "compare-results": ["compare", "results", "run.json", "run.json"],
    "compare-results-other": ["compare", "results", "network.json", "training.json"],
    "roofline": ["roofline", "run.json"],
    "network-list": ["network", "--list"],
    "network-summary": ["network", "mnist-cnn", "--summary"],
    "network-summary-long": ["network", "resnet50", "--summary"],
    "explain": ["explain"],
    "study": ["study"],
    "fleet-table": ["fleet", "table", "fleet.jsonl", "--price", "epyc=0.34", "--price", "xeon=0.5"],
}
"""A file of tests/data/v1, or of tests/data/fleet, where a word is a file's name."""


def screen(name, columns, capsys):
    """Return what a command prints, and the sentences of its answer with the next command."""
    folder = DATA / ("fleet" if name.startswith("fleet") else "v1")
    words = [str(folder / word) if ".json" in word else word for word in COMMANDS[name]]
    os.environ["COLUMNS"] = str(columns)
    cli._status(words)
    text = capsys.readouterr().out.replace(f"{folder}{os.sep}", "")
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def rows_of(text, columns):
    """Return the rows of a terminal: it breaks longer lines."""
    return [
        line[start : start + columns]
        for line in text.splitlines()
        for start in range(0, max(1, len(line)), columns)
    ]


@pytest.fixture(autouse=True)
def _terminal(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("CONVPROF_CACHE_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("columns", "rows"), SIZES)
@pytest.mark.parametrize("name", COMMANDS)
def test_the_screen_to_the_letter(name, columns, rows, capsys):
    text = screen(name, columns, capsys)
    golden = SCREENS / f"{name}-{columns}.txt"
    if os.environ.get("CONVPROF_NEW_SCREENS"):  # then look at `git diff`
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
    *_, answer = text.rstrip("\n").split("\n\n")
    shown = rows_of(text, columns)[-(rows - 1) :]  # one row is the shell's
    assert "".join(rows_of(answer, columns)) in "".join(shown)
