from __future__ import annotations

import gc
import weakref

import pytest

from convprof.studies.forget import _freeze_once, forget


class Circle:
    """Something that only the search for circles frees, as each of LLVM's pointers in Python."""

    def __init__(self):
        self.own = self


@pytest.fixture(autouse=True)
def _new_process():
    _freeze_once.cache_clear()


def test_what_outlives_a_problem_is_freed_when_it_goes():
    forget()
    kept = Circle()
    forget()
    seen = weakref.ref(kept)
    assert seen() is kept
    del kept
    forget()
    assert seen() is None


def test_what_the_first_problem_left_is_not_gone_through_again():
    first = Circle()
    forget()
    second = Circle()
    forget()
    searched = gc.get_objects()
    assert not any(each is first for each in searched)
    assert any(each is second for each in searched)
