"""No test reads or writes what convprof remembers for this user."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVPROF_CACHE_DIR", str(tmp_path_factory.mktemp("choices")))
        yield
