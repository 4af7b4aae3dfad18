"""No test reads or writes what convprof remembers for this user, or depends on the load."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# Other work on the machine makes drawing examples slow; no test fails for that.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVPROF_CACHE_DIR", str(tmp_path_factory.mktemp("choices")))
        yield
