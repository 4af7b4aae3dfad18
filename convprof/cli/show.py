"""``convprof show``: saved results again, and the journal of a killed command as a document."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import options
from convprof.cli.driver import Driver, Work
from convprof.cli.help_page import Command
from convprof.cli.outputs import Outputs
from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from convprof.cli.outputs import Picture
    from convprof.render.charts.chart import Bars
    from convprof.render.files import Text
    from convprof.results import Document
    from convprof.studies.answer import Answer
    from convprof.studies.show import Saved


@click.command("show", cls=Command)
@click.argument("file", nargs=-1, required=True, metavar="FILE...")
@options.all_option
@options.match_option()
@click.option(
    "--top",
    type=click.IntRange(1),
    metavar="N",
    help="Keep the N fastest rows of each problem; with --all all of them are printed.",
)
@options.plot_option("Draw the rates as .svg or .png")
@options.output_options(saves=True)
def command(**flags: Any) -> int:
    """Show results that --json wrote: the same tables, in other forms, or on another machine.

    FILE is a result document; or a journal (NAME.journal), left by a command that was killed before
    it wrote its document: --json NAME turns the journal into one.
    """
    outputs = Outputs.of(flags)
    paths: tuple[str, ...] = flags["file"]
    if outputs.paths and len(paths) > 1:
        flag = next(iter(outputs.paths))
        raise InputError(f"--{flag}: there are {len(paths)} files to show; name one of them")
    if outputs.plot is not None and len(paths) > 1:
        raise InputError(f"there are {len(paths)} files; draw one of them", field="plot")
    if outputs.exports and len(paths) > 1:
        raise InputError(f"--export: there are {len(paths)} files; name one of them")
    if outputs.save is not None and len(paths) > 1:
        raise InputError(f"there are {len(paths)} files; save one of them", field="save")
    from convprof.studies import show

    files = [_part(show.read(path), flags["match"], flags["top"]) for path in paths]
    return Driver(outputs).run(_Work(files, outputs, every=flags["every"]))


def _part(saved: Saved, match: str | None, top: int | None) -> Saved:
    from convprof.studies import shown_part

    try:
        return replace(saved, document=shown_part.part(saved.document, match, top))
    except InputError as error:
        raise error.at(saved.source) from None


class _Work(Work):
    """Show saved documents; write the only one in other forms."""

    def __init__(self, files: list[Saved], outputs: Outputs, *, every: bool) -> None:
        self._files, self._outputs, self._every = files, outputs, every

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the forms of the only document; several are not written."""
        from convprof.render import export
        from convprof.render.compare import environments

        document = self._files[0].document
        of_environments = "environments" in document.settings
        to_markdown = environments.to_markdown if of_environments else export.to_markdown
        return {
            "json": lambda: export.to_json(document),
            "csv": lambda: export.to_csv(document),
            "markdown": lambda: to_markdown(document),
        }

    def document(self) -> dict[str, Any] | None:
        """Return the only document; a report of several files has none."""
        return super().document() if len(self._files) == 1 else None

    def pictures(self) -> list[Picture]:
        """Return the rates of each document; when they were measured is not known."""
        return [
            picture
            for saved in self._files
            for picture in self._outputs.pictures(functools.partial(_chart, saved.document))
        ]

    def show(self, console: Console) -> None:
        """Print each document, under its name if there are several."""
        from convprof.render.show import document_report

        for saved in self._files:
            if len(self._files) > 1:
                console.print(saved.source, style="bold", markup=False)
            document_report(console, saved.document, every=self._every)

    def answer(self) -> Answer | None:
        """Return the answer of the only document."""
        from convprof.studies.show import answer

        return answer(self._files[0].document) if len(self._files) == 1 else None

    def remarks(self) -> list[str]:
        """Return the remarks from reading the files."""
        return [f"note: {saved.note}" for saved in self._files if saved.note is not None]


def _chart(document: Document, _dated: str) -> Bars | None:
    from convprof.render.compare.environments_chart import environments_chart
    from convprof.render.run_chart import run_chart
    from convprof.studies.show import environments_compared

    brand = document.machine.get("brand") or "unknown CPU"
    if "environments" in document.settings:
        return environments_chart(environments_compared(document), dated=brand)
    return run_chart(list(document.measurements), dated=brand)
