from __future__ import annotations

import pytest

from convprof import doubts
from convprof.stats import Ratio


@pytest.fixture(autouse=True)
def _no_doubts(monkeypatch):
    """Commands believe what they measure, however much other programs disturb it."""
    for name in ("of_samples", "of_limits", "of_chain", "of_choice"):
        monkeypatch.setattr(doubts, name, lambda *_: None)
    monkeypatch.setattr(Ratio, "doubt", None)
