from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from convprof import cli
from convprof.cli import idle
from convprof.machine import load
from convprof.machine.load import Load

BUSY, QUIET = Load(0.9, 2), Load(0.0, 2)
RUN = ["run", "8x8:8x8", "-s", "naive", "-t", "1", "--rounds", "1"]


@pytest.fixture
def loads(monkeypatch):
    """Let the next looks find these loads; the last one for ever."""

    def set_(*found):
        rest = list(found)
        monkeypatch.setattr(load, "look", lambda **_: rest.pop(0) if len(rest) > 1 else rest[0])

    return set_


def stderr(*words):
    result = CliRunner().invoke(cli.cli, [*RUN, *words])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return [line for line in result.stderr.splitlines() if not line.startswith("noise")]


def test_a_busy_machine_is_said_in_one_line(loads):
    loads(BUSY)
    (line,) = stderr()
    assert line == (
        "busy: other programs use 1.8 of 2 CPUs, so times will be too long; --wait-idle waits"
    )


def test_quiet_says_nothing(loads):
    loads(BUSY)
    assert stderr("-q") == []


@pytest.mark.parametrize("found", [QUIET, None], ids=["idle", "unknown"])
def test_nothing_to_say(loads, found):
    loads(found)
    assert stderr() == []


def test_waits_until_others_end(loads):
    loads(BUSY, BUSY, QUIET)
    assert stderr("--wait-idle") == [
        "busy: other programs use 1.8 of 2 CPUs; waiting until they end, at most 60 s"
    ]


def test_measures_anyway_after_the_limit(loads):
    loads(BUSY)
    first, last = stderr("--wait-idle=0.01")
    assert first.endswith("at most 0.01 s")
    assert last == "still busy: other programs use 1.8 of 2 CPUs; measured anyway"


def test_a_wait_of_0_is_none(loads):
    loads(BUSY)
    (line,) = stderr("--wait-idle=0")
    assert line.endswith("so times will be too long; --wait-idle 0 does not wait")


def test_an_unknown_load_cannot_be_waited_for(loads):
    loads(None)
    (line,) = stderr("--wait-idle")
    assert line == "--wait-idle: this system does not report the load of the CPUs: measured at once"


def test_work_is_done_while_looking_and_the_look_takes_no_longer(monkeypatch):
    """Importing a compiler takes about as long as a look, in which a process would only sleep."""
    slept, worked = [], []
    monkeypatch.setattr(idle.time, "sleep", slept.append)
    monkeypatch.setattr(load, "look", lambda sleep: sleep(0.25) or QUIET)
    idle.before_measuring(None, follow=list, remark=print, meanwhile=lambda: worked.append(1))
    assert worked == [1]
    assert 0 < slept[0] <= 0.25


def test_a_signal_ends_the_wait(monkeypatch):
    looks = []

    def look(**_):
        looks.append(1)
        if len(looks) > 2:
            raise KeyboardInterrupt
        return BUSY

    monkeypatch.setattr(load, "look", look)
    with pytest.raises(SystemExit) as ended:
        cli.main([*RUN, "--wait-idle"])
    assert ended.value.code == 130


def commands(group, path=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def test_every_command_with_a_budget_can_wait():
    lacking = [
        name
        for name, command in commands(cli.cli)
        if "budget" in {p.name for p in command.params}
        and "wait_idle" not in {p.name for p in command.params}
    ]
    assert lacking == []
