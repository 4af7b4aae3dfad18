"""The output and the files of ``convprof study``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.text import Text

from convprof.render import doubts
from convprof.render.answer import answer_report
from convprof.render.charts.chart import HeatMap
from convprof.render.charts.terminal import chart_lines, heat_map_lines
from convprof.render.columns import print_table
from convprof.render.console import draw, hanging, say
from convprof.render.recording import RecordedText, instead
from convprof.render.study import table
from convprof.render.study.chart import chart
from convprof.render.text_tables import csv_text, markdown_table
from convprof.studies.answer import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console

    from convprof.studies.study.page import Page, Row, Section

WIDEST = 100
CHART_HEIGHT = 14
INDENT = "  "


def studies_report(console: Console, studies: Mapping[str, str]) -> None:
    """Print the list of studies, and the command for one."""
    console.print(Text("One idea, expected and measured, on one page", style="bold"))
    width = max(map(len, studies))
    for name, summary in studies.items():
        hanging(console, f"{INDENT}{name:{width}}  ", summary)
    sentence = f"{len(studies)} studies, some seconds each; they are best read in this order."
    answer_report(console, Answer((sentence,), f"convprof study {next(iter(studies))}"))


def page_report(console: Console, page: Page) -> None:
    """Print the page: known facts, tables, charts, and conclusions."""
    _wrapped(console, Text(page.title, style="bold"))
    for line in page.facts:
        _wrapped(console, Text(line, style="dim"))
    for section in page.sections:
        console.print()
        _section(console, page, section)
    for number, finding in enumerate(page.findings, 1):
        console.print()
        for name, text in (
            ("expected", finding.expected),
            ("measured", finding.measured),
            ("difference", finding.difference),
        ):
            head = f"{number}. {name}" if name == "expected" else f"   {name}"
            _wrapped(console, Text(f"{head:<14}", style="bold").append(text, "not bold"), " " * 14)


def _section(console: Console, page: Page, section: Section) -> None:
    drawing = chart(page, section)
    width = min(console.width, WIDEST)
    if isinstance(drawing, HeatMap):
        console.print(
            heat_map_lines(replace(drawing, title=section.title, subtitle="", caption=""), width)
        )
    else:
        columns = table.columns(section)
        print_table(console, _title(section), columns, table.groups(section))
    for note in section.notes:
        _wrapped(console, Text(note, style="dim"))
    for line in _doubt_lines(section):
        _wrapped(console, Text(line))
    say(console, *_failures(section), style="bold red")
    if drawing is not None and not isinstance(drawing, HeatMap):
        console.print()
        plain = replace(drawing, title="", subtitle="", caption="")
        draw(console, chart_lines(plain, width, CHART_HEIGHT))


def _doubt_lines(section: Section) -> list[str]:
    line = doubts.line_of((_named(row), row.doubt) for row in section.rows)
    return [] if line is None else [line]


def _failures(section: Section) -> list[str]:
    return [
        f"{row.status}: {_named(row)}: {row.reason}"
        for row in section.rows
        if row.status not in ("ok", "missing", "predicted")
    ]


def _named(row: Row) -> str:
    """Return ``size 64, threads 2``."""
    return ", ".join(f"{name} {value}" for name, value in row.variant.items())


def _title(section: Section) -> str:
    """Return the title, with the unit if the title does not name it."""
    named = section.unit.name.casefold() in section.title.casefold()
    return section.title if named else f"{section.title} · {section.unit.name}"


def _wrapped(console: Console, text: Text, before: str = "") -> None:
    """Print a wrapped text; further lines are indented. A report has it as one paragraph."""
    style = "" if before else str(text.style)
    with instead(console, lambda: RecordedText(text.plain, style)):
        _print_wrapped(console, text, before)


def _print_wrapped(console: Console, text: Text, before: str) -> None:
    width = min(console.width, WIDEST)
    first, *rest = text.wrap(console, width) or [Text()]
    console.print(first, no_wrap=True, crop=False)
    if not rest:
        return
    left = Text(text.plain[len(first.plain) :].lstrip())
    left.style = text.style if not before else ""
    for line in left.wrap(console, width - len(before)):
        console.print(Text(before).append_text(line), no_wrap=True, crop=False)


def to_markdown(page: Page, answer: Answer | None) -> str:
    """Return the page: facts, a table per section, conclusions, and the answer."""
    parts = [f"### {page.title}\n", *(f"{line}\n" for line in page.facts)]
    for section in page.sections:
        parts.append(f"#### {_title(section)}\n")
        if section.rows:
            parts.append(markdown_table(table.columns(section), table.groups(section)))
        notes = [*section.notes, *_doubt_lines(section), *_failures(section)]
        parts += [f"- {line}\n" for line in notes]
    for number, finding in enumerate(page.findings, 1):
        parts.append(
            f"{number}. expected: {finding.expected}; measured: {finding.measured}; "
            f"difference: {finding.difference}\n"
        )
    if answer is not None:
        parts.append(f"{' '.join(answer.sentences)}\n")
    return "\n".join(parts)


def to_csv(page: Page) -> Iterator[str]:
    """Return one row per variant."""
    rows: list[dict[str, Any]] = []
    for section in page.sections:
        for row in section.rows:
            figure = row.measured
            rows.append(
                {
                    "study": page.study,
                    "section": section.title,
                    **{f"variant.{name}": value for name, value in row.variant.items()},
                    **{f"counted.{name}": value for name, value in row.counted.items()},
                    "unit": section.unit.name,
                    "unit_si": section.unit.value,
                    "expected": row.expected,
                    "measured": figure.value if figure else None,
                    "ci95_low": figure.low if figure else None,
                    "ci95_high": figure.high if figure else None,
                    "cycles": row.cycles,
                    "status": row.status,
                    "doubt": row.doubt,
                    "max_rel_error": row.max_rel_error,
                }
            )
    return csv_text(lambda: rows)
