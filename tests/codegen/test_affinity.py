"""The masks of threads: what a library binds is given back."""

from __future__ import annotations

import os
import sys

import pytest

from convprof.codegen import affinity
from convprof.errors import ConvprofError

MANY = len(affinity.AT_START or ()) > 1
needs_cpus = pytest.mark.skipif(not MANY, reason="needs two CPUs, and sched_setaffinity")


@pytest.fixture
def own_mask(monkeypatch):
    """Clear the variables that bind; give this thread its mask back."""
    for name in affinity.BINDING:
        monkeypatch.delenv(name, raising=False)
    yield affinity.AT_START
    affinity.change(0, affinity.AT_START)


@needs_cpus
def test_what_a_library_binds_is_given_back(own_mask):
    with affinity.restored():
        os.sched_setaffinity(0, {min(own_mask)})
    assert affinity.of() == own_mask


@needs_cpus
def test_a_library_that_fails_is_no_exception(own_mask):
    def fail():
        with affinity.restored():
            os.sched_setaffinity(0, {min(own_mask)})
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        fail()
    assert affinity.of() == own_mask


@needs_cpus
def test_the_mask_that_the_caller_chose_comes_back_not_that_at_the_start(own_mask):
    chosen = frozenset({max(own_mask)})
    affinity.change(0, chosen)
    with affinity.restored():
        assert affinity.of() == chosen
        os.sched_setaffinity(0, {min(own_mask)})
    assert affinity.of() == chosen


@needs_cpus
def test_a_library_starts_its_threads_with_room_for_all_of_them(own_mask):
    chosen = frozenset({min(own_mask)})
    affinity.change(0, chosen)
    with affinity.restored(2):
        assert affinity.of() == own_mask
    assert affinity.of() == chosen


@needs_cpus
def test_a_mask_that_cannot_be_given_back_is_an_error_with_the_way_out(own_mask, monkeypatch):
    monkeypatch.setenv("OMP_PROC_BIND", "true")
    first = min(own_mask)

    def bind():
        with affinity.restored():
            os.sched_setaffinity(0, {first})
            monkeypatch.setattr(affinity, "change", lambda *_: False)

    with pytest.raises(
        ConvprofError, match=rf"bound the main thread to CPU {first}, .*: unset OMP_PROC_BIND$"
    ):
        bind()
    monkeypatch.undo()


@needs_cpus
def test_a_thread_that_openmp_bound_may_still_use_all_cpus_of_the_start(own_mask, monkeypatch):
    affinity.change(0, frozenset({min(own_mask)}))
    assert affinity.allowed() == {min(own_mask)}
    monkeypatch.setenv("OMP_PROC_BIND", "close")
    assert affinity.allowed() == own_mask


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("OMP_PROC_BIND", "true", "OMP_PROC_BIND=true"),
        ("OMP_PROC_BIND", "FALSE", None),
        ("OMP_PROC_BIND", "", None),
        ("KMP_AFFINITY", "none", None),
        ("GOMP_CPU_AFFINITY", "0-1", "GOMP_CPU_AFFINITY=0-1"),
        ("OMP_PLACES", "cores", "OMP_PLACES=cores"),
    ],
)
def test_the_variable_that_binds(monkeypatch, name, value, found):
    for other in affinity.BINDING:
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, value)
    assert affinity.variable() == found


@pytest.mark.parametrize(
    ("masks", "expected"),
    [
        ([], True),
        ([{0}], True),
        ([{0}, {1}], True),
        ([{0}, {0}], False),
        ([{0, 1}, {0}], True),
        ([{0, 1}, {0, 1}, {0, 1}], False),
        ([{0, 1}, {1, 2}, {0}, {2, 3}], True),
        ([{0, 1}, {0, 1}, {2}, {1, 2}], False),
    ],
)
def test_threads_that_each_have_a_cpu_for_themselves(masks, expected):
    assert affinity.apart([frozenset(mask) for mask in masks]) is expected


def test_where_masks_are_unknown_nothing_is_changed(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert affinity.of() is None
    assert affinity.allowed(2) is None
    assert affinity.change(0, frozenset({0})) is False
    with affinity.restored(2):
        pass


def test_a_python_without_the_calls_knows_no_mask(monkeypatch):
    for name in ("sched_getaffinity", "sched_setaffinity"):
        monkeypatch.delattr(os, name, raising=False)
    assert affinity.of() is None
    assert not affinity.change(0, frozenset({0}))
