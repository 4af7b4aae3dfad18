"""No test reads or writes what convprof remembers for this user, or depends on the load."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from convprof import choice_store
from convprof.machine import load, surroundings
from convprof.strategies import memory
from convprof.strategies.tuning import search
from convprof.studies import preflight

# Other work on the machine makes drawing examples slow; no test fails for that.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVPROF_CACHE_DIR", str(tmp_path_factory.mktemp("choices")))
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(autouse=True, scope="session")
def _free_memory():
    """32 GiB are free for problems, whatever else runs here; a look would take 1 ms."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (memory, preflight):
            patch.setattr(module, "available_bytes", lambda: 32 << 30)
        yield


@pytest.fixture(autouse=True, scope="session")
def _short_searches():
    """A search compares three candidates, not eight, in samples of 0.05 ms instead of 2.

    No test depends on which candidate is fastest; most of the time went into compiling them.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "SAMPLE_SECONDS", 5e-5)
        patch.setitem(search.EFFORTS, "quick", search.Effort(3, 3))
        patch.setitem(search.EFFORTS, "full", search.Effort(6, 4))
        yield


@pytest.fixture(autouse=True, scope="module")
def _only_new_objects_are_searched():
    """A search for circles, as after every problem, skips what the tests of other files left.

    At the end of the suite a search of everything takes 0.3 s, and some tests make twenty.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _idle_machine(monkeypatch):
    """Commands find an idle machine, without a look of 0.25 s, whatever else runs here."""
    monkeypatch.setattr(load, "look", lambda **_: load.Load(0.0, 2))
    monkeypatch.setattr(surroundings, "accounts", lambda: None)


@pytest.fixture(autouse=True)
def _stored_choices_count():
    """No test leaves a choice to the next one that only its process knows."""
    yield
    choice_store.reset()


@pytest.fixture(scope="session")
def invalid():
    """Return what lists how a document of any kind breaks the schema."""
    jsonschema = pytest.importorskip("jsonschema")
    path = Path(__file__).parents[1] / "docs" / "result-schema.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    return lambda document: [error.message for error in validator.iter_errors(document)]
