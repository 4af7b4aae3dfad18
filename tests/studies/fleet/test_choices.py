"""What auto chose on one host, stored on another one."""

from __future__ import annotations

import json

import pytest

from convprof import choice_store
from convprof.choice_store import Made
from convprof.errors import InputError
from convprof.machine import facts
from convprof.problems import Gemm
from convprof.strategies.tuning.auto import CHOICES
from convprof.studies.fleet import choices

PROBLEM = Gemm(m=4, n=5, k=6)


def key_of(problem=PROBLEM, machine=None):
    sizes = {"kind": problem.kind, **problem.dims()}
    return {"machine": machine or facts().identity_key(), "problem": sizes, "dtype": "f32"}


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty folder for each name: the stores of hosts."""

    def use(name):
        monkeypatch.setenv("CONVPROF_CACHE_DIR", str(tmp_path / name))
        choice_store.reset()

    use("first")
    yield use
    choice_store.reset()


def test_a_choice_goes_from_host_to_host(cache):
    choice, made = {"strategy": "packed", "blocking": [1, 2]}, Made("20.1", 0.1)
    choice_store.save(CHOICES, key_of(), choice, made)
    choice_store.save(CHOICES, key_of(Gemm(m=9, n=9, k=9)), choice, made)
    choice_store.save(CHOICES, key_of(machine="another"), choice, made)
    sent = choices.read(json.loads(json.dumps(choices.of_problem(PROBLEM))))
    assert [each["key"] for each in sent] == [key_of()]
    cache("second")
    assert choices.of_problem(PROBLEM) == []
    assert choices.read_stored(choices.store(json.dumps(sent)))
    assert choice_store.load(CHOICES, key_of()) == choice


def test_choices_for_another_machine_are_not_stored(cache):
    cache("first")
    other = {"key": key_of(machine="another"), "choice": {}, "made": {}}
    assert json.loads(choices.store(json.dumps([other]))) == {"stored": 0}
    assert list(choice_store.stored(CHOICES)) == []


@pytest.mark.parametrize("data", ["nonsense", "{}", "[1]", '[{"choice": {}}]'])
def test_nonsense_is_not_stored(cache, data):
    cache("first")
    assert not choices.read_stored(choices.store(data))


@pytest.mark.parametrize("said", [None, 17, "nonsense", "[]", '{"error": "a full disk"}'])
def test_a_host_that_does_not_say_so_has_not_stored(said):
    assert not choices.read_stored(said)


@pytest.mark.parametrize("value", [{}, [1], [{"key": 1}], [{}] * (choices.MOST + 1)])
def test_nonsense_instead_of_choices_is_an_input_error(value):
    with pytest.raises(InputError):
        choices.read(value)
