"""What ``compare commands --python`` prints: the environments, and a row per contestant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.render import describe, doubts, notes, tables
from convprof.render.columns import VERDICT_STYLES, Column, print_table
from convprof.render.console import say
from convprof.render.text_tables import markdown_table
from convprof.studies.compare import environments as study
from convprof.studies.compare.changes import ordered
from convprof.studies.compare.environments import BASE
from convprof.studies.run_answer import label
from convprof.studies.shortlist import MOST_ROWS, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from convprof.results import Document, Measurement
    from convprof.studies.compare.environments import EnvironmentComparison, Facts, Version


def environments_report(
    console: Console,
    environments: Sequence[Facts],
    comparisons: Sequence[EnvironmentComparison],
    measurements: Sequence[Measurement],
    *,
    every: bool = False,
) -> None:
    """Print the environments and the rows; of many rows what changed, or ``every`` row."""
    for line in environment_lines(environments):
        say(console, line)
    rows = _shown(comparisons, every=every)
    if rows:
        print_table(console, _title(rows), columns(rows), rows)
    doubt = doubts.line_of_comparisons(comparisons)
    say(console, *filter(None, (doubt, *notes.lines([each.a for each in comparisons]))))
    if len(rows) < len(comparisons):
        hidden = len(comparisons) - len(rows)
        say(console, f"not shown: {hidden} without a change; --all shows every row", style="dim")
    for line, style in _exclusions(measurements).items():
        say(console, line, style=style)


def _shown(
    comparisons: Sequence[EnvironmentComparison], *, every: bool
) -> list[EnvironmentComparison]:
    if every or len(comparisons) <= MOST_ROWS:
        return list(comparisons)
    return [each for each in ordered(comparisons) if each.verdict in {"slower", "faster"}]


def _exclusions(measurements: Sequence[Measurement]) -> dict[str, str]:
    """Return the reasons why contestants have no row, each once, with its style."""
    lines: dict[str, str] = {}
    for m in tables.excluded(measurements):
        if m.status == "refused":
            reason = f"refused in {m.environment}: {m.strategy}: {m.bare_reason}"
            lines.setdefault(reason, "dim")
        else:
            lines.setdefault(f"{label(m)}: {describe.exclusion_line(m)}", "bold red")
    return lines


def environment_lines(environments: Sequence[Facts]) -> Iterator[str]:
    """Yield each environment, the versions that all have, and the versions that differ."""
    for each in environments:
        lent = " (has no convprof: this one computes there)" if each.lent else ""
        yield f"{each.name}: {each.python}{lent}"
    versions = study.versions(environments)
    same = [f"{each.program} {each.versions[0]}" for each in versions if not each.differs]
    if same:
        both = "both have" if len(environments) == 2 else "all have"  # noqa: PLR2004
        yield f"{both} {' · '.join(same)}"
    for version in versions:
        if version.differs:
            yield f"differs: {version.program}: {_versions(version, environments)}"
    if not any(each.differs for each in versions):
        yield "no version differs: only two builds of one version, or chance, can differ"


def _versions(version: Version, environments: Sequence[Facts]) -> str:
    return ", ".join(
        f"{number or 'not installed'} in {each.name}"
        for number, each in zip(version.versions, environments, strict=True)
    )


def _title(rows: Sequence[EnvironmentComparison]) -> str:
    first = rows[0].b
    others = dict.fromkeys(str(each.a.environment) for each in rows)
    what = f"time in {next(iter(others))} / time in {BASE}"
    if len(others) > 1:
        what = f"time / time in {BASE}"
    most = max(each.processes for each in rows)
    how = " · cold caches" if first.cache == "cold" else ""
    how += f" · {most} processes of each" if most > 1 else ""
    if len({(_problem(each), each.b.dtype) for each in rows}) == 1:
        return f"{describe.problem_line(first.problem, first.dtype)}{how} · {what}"
    return f"{what[0].upper()}{what[1:]} · {tables.types_words(each.b for each in rows)}{how}"


def columns(rows: Sequence[EnvironmentComparison]) -> list[Column[EnvironmentComparison]]:
    """Return the columns: a time for the base and the other environment, the ratio, the verdict."""
    unit = units.time_unit([seconds(each.b) for each in rows])
    others = list(dict.fromkeys(str(each.a.environment) for each in rows))
    several = len(others) > 1
    problem: list[Column[EnvironmentComparison]] = [Column("problem", _problem, 1, "left")]
    dtype: list[Column[EnvironmentComparison]] = [
        Column("type", lambda each: tables.type_name(each.b), 1, "left", key=True)
    ]
    place: list[Column[EnvironmentComparison]] = [
        Column("in", lambda each: str(each.a.environment), 1, "left", key=True)
    ]
    other = "time" if several else others[0]
    return [
        *(problem if len({_problem(each) for each in rows}) > 1 else []),
        *(dtype if tables.several_dtypes(each.b for each in rows) else []),
        Column("strategy", lambda each: doubts.marked(each.way, each.doubt), 1, "left", key=True),
        Column("threads", lambda each: str(each.b.threads), 5, key=True),
        *(place if several else []),
        Column(f"{BASE} [{unit.name}]", lambda each: _time(each.b, unit), 4),
        Column(f"{other} [{unit.name}]", lambda each: _time(each.a, unit), 4),
        Column("ratio" if several else f"{other}/{BASE}", _ratio, 2),
        Column("verdict", lambda each: each.verdict, 1, "left", style=_style),
    ]


def _time(measurement: Measurement, unit: units.Unit) -> str:
    return units.digits(unit.scale(seconds(measurement)))


def _ratio(each: EnvironmentComparison) -> str:
    return tables.ratio_text(each.ratio)


def _problem(each: EnvironmentComparison) -> str:
    return describe.short_name(label(each.b))


def _style(each: EnvironmentComparison) -> str:
    return VERDICT_STYLES[each.verdict]


def to_markdown(document: Document) -> Iterator[str]:
    """Yield the environments, every row with the largest changes first, and the exclusions."""
    measurements = list(document.measurements)
    comparisons = ordered(study.read(list(document.comparisons), measurements))
    lines = environment_lines(study.facts(document.settings))
    yield "".join(f"- {line}\n" for line in lines) + "\n"
    if comparisons:
        yield f"### {_title(comparisons)}\n\n{markdown_table(columns(comparisons), comparisons)}\n"
    yield "".join(f"- {line}\n" for line in _exclusions(measurements))
    yield f"\n{describe.machine_line(document)}  \n{describe.cycles_line(measurements)}\n"
