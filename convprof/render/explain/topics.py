"""The list of topics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console


def show(console: Console, topics: Mapping[str, str]) -> None:
    """Print the topics, and how to ask for one."""
    console.print(Text("Worked examples with real numbers", style="bold"))
    width = max(map(len, topics))
    for topic, summary in topics.items():
        console.print(Text("  ").append(topic.ljust(width), style="cyan").append(f"  {summary}"))
    console.print(
        Text("convprof explain TOPIC, or of your own problem: convprof explain TOPIC PROBLEM")
    )
