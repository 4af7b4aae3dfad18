"""The answer with which a command ends: one to three sentences, and a command to try next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MOST_SENTENCES = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """What a user wanted to know. ValueError for no sentence or for more than three."""

    sentences: tuple[str, ...]
    """The result first, then its limit or its reason."""
    command: str = ""
    """A whole command line that is useful next; empty if nothing is."""
    repeats: bool = False
    """Whether the user's own command is useful next, once more, when other programs are idle.
    ``command`` is then for a saved document only, whose command line is not known."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.sentences) <= MOST_SENTENCES:
            raise ValueError(f"an answer has 1 to {MOST_SENTENCES} sentences: {self.sentences}")

    def to_json(self) -> dict[str, Any]:
        """Return the fields for a document."""
        return {"sentences": list(self.sentences), "command": self.command or None}
