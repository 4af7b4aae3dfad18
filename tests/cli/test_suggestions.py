"""What was probably meant: nearest names, and options of other tools."""

from __future__ import annotations

import click
import pytest

from convprof import cli
from convprof.cli.suggestions import OTHER_TOOLS


def run(capsys, *words):
    status = cli._status(list(words))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ru"], "convprof: No such command 'ru': did you mean run?"),
        (["compar"], "convprof: No such command 'compar': did you mean compare?"),
        (["zzz"], "convprof: No such command 'zzz'."),
        (["run", "--threds", "2"], "No such option --threds: did you mean --threads"),
        (["run", "--runs", "5"], "No such option --runs: use --rounds"),
        (["run", "--warmup", "3"], "No such option --warmup: convprof warms up each contestant"),
        (["run", "--export-json", "x"], "No such option --export-json: use --json"),
        (["run", "--dt=f32"], "No such option --dt: use --dtype"),
        (["ceilings", "--runs", "3"], "No such option --runs."),
        (["run", "--zzzzz"], "No such option --zzzzz."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_was_meant(capsys, words, said):
    status, out, err = run(capsys, *words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_what_is_recommended_exists():
    command = cli.cli.get_command(click.Context(cli.cli), "run")
    known = {option for parameter in command.params for option in parameter.opts}
    ours = [text for text in OTHER_TOOLS.values() if text.startswith("--")]
    assert {text.split(",")[0].split(" ")[0] for text in ours} <= known
    assert not known & set(OTHER_TOOLS)


def test_a_group_alone_prints_its_help_whatever_the_error_says(capsys, monkeypatch):
    error = getattr(click.exceptions, "NoArgsIsHelpError", None)
    if error is None:
        pytest.skip("click 8.1 prints the help itself")
    monkeypatch.setattr(error, "format_message", lambda _: "\x1b[1mgarbled\x1b[0m")
    status, out, err = run(capsys, "compare")
    assert (status, err) == (0, "")
    assert out == run(capsys, "compare", "--help")[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mb1ic64ih56oc64oh99kh3ph1", "note: oh99: ih56 kh3 ph1 usually give oh56;"),
        ("mb1ic64ih56iw56oc64oh56ow80kh3kw3ph1pw1", "note: ow80: iw56 kw3 pw1 usually give ow56;"),
        ("mb1ic64ih56oc64oh56kh3ph1", ""),
        ("mb1ic64ih112oc64oh56kh3sh2ph0", ""),
        ("mb1ic64ih56oc64oh99kh3ph1eh44", ""),
        ("mb1ic64ih56oc64kh3", ""),
    ],
)
def test_an_output_size_that_does_not_follow_gets_a_note(capsys, text, said):
    status, out, err = run(capsys, "run", text, "--dry-run")
    assert status == 0
    assert out.startswith("convprof run mb1ic64ih")
    assert err.startswith(said)
    assert bool(err) == bool(said)


def test_a_product_may_be_an_option(capsys):
    status, out, _ = run(capsys, "run", "--gemm", "197x768:768x3072", "--dry-run")
    assert (status, out) == (0, "convprof run 197x768:768x3072\n")
    status, _, err = run(capsys, "run", "--gemm", "197x768:76x3072", "--dry-run")
    assert status == 2
    assert "--gemm 197x768:76x3072: inner dimensions 768 and 76 differ" in err
