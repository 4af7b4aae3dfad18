from __future__ import annotations

from pathlib import Path

import pytest

from convprof.logs.operation import Reading
from convprof.logs.read import read

DATA = Path(__file__).parents[1] / "data" / "logs"


@pytest.fixture
def log():
    """Return what reads one of the logs in tests/data/logs: its calls, and what was counted."""

    def reader(name):
        reading = Reading()
        return list(read([str(DATA / name)], reading)), reading

    return reader


@pytest.fixture
def calls_of(tmp_path):
    """Return what reads a log with that text."""

    def reader(text, *, model=None):
        path = tmp_path / "log"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        reading = Reading()
        return list(read([str(path)], reading, model=model)), reading

    return reader
