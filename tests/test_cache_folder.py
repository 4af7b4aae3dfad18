from __future__ import annotations

import sys

import pytest

from convprof.cache_folder import folder


def test_the_named_folder_is_one_for_all(monkeypatch, tmp_path):
    monkeypatch.setenv("CONVPROF_CACHE_DIR", str(tmp_path))
    assert folder("choices") == folder("ceilings") == tmp_path


@pytest.mark.parametrize(
    ("platform", "variable", "below"),
    [("linux", "XDG_CACHE_HOME", ""), ("win32", "LOCALAPPDATA", ""), ("darwin", "HOME", "Library/Caches")],  # noqa: E501
)  # fmt: skip
def test_the_users_cache_folder(monkeypatch, tmp_path, platform, variable, below):
    monkeypatch.delenv("CONVPROF_CACHE_DIR", raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv(variable, str(tmp_path))
    assert folder("ceilings") == tmp_path / below / "convprof" / "ceilings"
