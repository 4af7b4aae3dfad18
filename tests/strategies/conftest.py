"""The free memory is looked up once for thousands of preparations, 1 ms each."""

from __future__ import annotations

import functools

import pytest

from convprof.machine.memory import available_bytes
from convprof.strategies import memory


@pytest.fixture(autouse=True, scope="session")
def _memory_of_the_session():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "available_bytes", functools.cache(available_bytes))
        yield
