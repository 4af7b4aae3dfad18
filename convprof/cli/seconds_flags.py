"""Flags whose seconds may be left out: ``--wait-idle`` and ``--wait-idle 20``.

``--isolate`` takes a word instead of seconds too.
"""

from __future__ import annotations

WAIT_IDLE_S = 60.0
"""The longest wait until the machine is idle."""
ISOLATE_S = 120.0
"""The longest time without an answer from a contestant's process: libraries that tune themselves
take tens of seconds."""
SECONDS = {"--wait-idle": WAIT_IDLE_S, "--isolate": ISOLATE_S}
"""The seconds that a flag without a number means."""
LIBRARIES, NONE = "libraries", "none"
WORDS = {"--isolate": (LIBRARIES, NONE)}
"""The words that a flag takes instead of seconds."""


def with_seconds(words: list[str]) -> list[str]:
    """Return the words of a command line in which each of these flags has its seconds.

    click would use the word after the flag as its value, even if the word is a PROBLEM.
    """
    options, rest = words, []
    if "--" in words:
        end = words.index("--")
        options, rest = words[:end], words[end:]
    done = []
    for word, after in zip(options, [*options[1:], ""], strict=False):
        alone = word in SECONDS and not (_is_number(after) or after in WORDS.get(word, ()))
        done.append(f"{word}={SECONDS[word]:g}" if alone else word)
    return [*done, *rest]


def is_default(flag: str, values: list[str]) -> bool:
    """Whether a flag with these values means the same without them."""
    return flag in SECONDS and values == [str(SECONDS[flag])]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
