from __future__ import annotations

import pytest

from convprof.cli import seconds_flags


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--wait-idle"], ["--wait-idle=60"]),
        (["--wait-idle", "resnet50"], ["--wait-idle=60", "resnet50"]),
        (["--wait-idle", "30", "x"], ["--wait-idle", "30", "x"]),
        (["--wait-idle=5", "x"], ["--wait-idle=5", "x"]),
        (["--wait-idle", "-q"], ["--wait-idle=60", "-q"]),
        (["--isolate", "a", "--wait-idle"], ["--isolate=120", "a", "--wait-idle=60"]),
        (["--isolate", "none", "a"], ["--isolate", "none", "a"]),
        (["--wait-idle", "none"], ["--wait-idle=60", "none"]),
        (["--", "--wait-idle"], ["--", "--wait-idle"]),
        ([], []),
    ],
)
def test_the_seconds_may_be_left_out(words, expected):
    assert seconds_flags.with_seconds(words) == expected
