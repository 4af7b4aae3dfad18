"""``convprof show``: saved results again, and the journal of a killed command as a document."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import options
from convprof.cli.driver import Driver, Work
from convprof.cli.help_page import Command
from convprof.cli.number_types import Whole
from convprof.cli.outputs import Outputs
from convprof.errors import InputError
from convprof.results import KIND

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from convprof.cli.outputs import Picture
    from convprof.render.charts.chart import Drawable
    from convprof.render.files import Text
    from convprof.render.show import SavedView
    from convprof.studies.answer import Answer
    from convprof.studies.show import Saved, SavedDocument


@click.command("show", cls=Command)
@click.argument("file", nargs=-1, required=True, metavar="FILE...")
@options.all_option
@options.match_option()
@click.option(
    "--top",
    type=Whole(1),
    metavar="N",
    help="Keep the N fastest rows of each problem, with --all all of them are printed; of a "
    "network the N slowest layers, of a diagnosis the first N rows.",
)
@options.plot_option("Draw the document's chart as .svg or .png")
@options.output_options(saves=True)
def command(**flags: Any) -> int:
    """Show what --json wrote: the same tables, in other forms, or on another machine.

    FILE is a document of any command; a saved run: NAME, NAME~1, last; or a journal (NAME.journal),
    left by a command that was killed before it wrote its document: --json NAME turns the journal
    into one.
    """
    outputs = Outputs.of(flags)
    paths: tuple[str, ...] = flags["file"]
    if len(paths) > 1:
        _check_one(outputs, len(paths))
    files = [_file(path, flags) for path in paths]
    _check_outputs(outputs, files[0])
    return Driver(outputs).run(_Work(files, outputs))


def _check_one(outputs: Outputs, count: int) -> None:
    """Raise InputError for an output that takes one document."""
    flags = [*(f"--{flag}" for flag in outputs.paths)]
    flags += ["--plot"] if outputs.plot is not None else []
    flags += ["--export"] if outputs.exports else []
    flags += ["--save"] if outputs.save is not None else []
    if flags:
        raise InputError(f"{flags[0]}: there are {count} files to show; name one of them")


def _check_outputs(outputs: Outputs, file: _File) -> None:
    """Raise InputError for an output that a document does not have."""
    of_kind = f"a document of kind {file.kind!r}"
    for flag, used in (("save", outputs.save), ("export", outputs.exports)):
        if used and file.kind != KIND:
            raise InputError(f"{file.source}: --{flag} takes results, not {of_kind}")
    if outputs.plot is not None and file.view.chart is None:
        raise InputError(f"{file.source}: --plot: {of_kind} has no chart")
    for flag in outputs.paths:
        if flag not in {"json", *file.view.forms}:
            raise InputError(f"{file.source}: --{flag}: {of_kind} has no such form")


@dataclass(frozen=True)
class _File:
    """A saved document, and how it is shown."""

    source: str
    kind: str
    view: SavedView
    brand: str
    argv: tuple[str, ...]
    """The words of the command that wrote the document."""
    json: Callable[[], Text]
    note: str | None


def _file(path: str, flags: dict[str, Any]) -> _File:
    """Return a file's document; InputError in one line if it is damaged."""
    from convprof.render.show import Extent, view_of
    from convprof.studies import show
    from convprof.studies.reading import argv

    saved = show.read_any(path)
    extent = Extent(flags["every"], flags["top"], flags["match"])
    try:
        if isinstance(saved, show.Saved):
            saved = _part(saved, flags["match"], flags["top"])
            machine, settings = saved.document.machine, saved.document.settings
        else:
            _check_whole(saved, flags)
            machine, settings = _object(saved.fields, "machine"), _object(saved.fields, "settings")
    except InputError as error:
        raise error.at(saved.source) from None
    view = view_of(saved, extent)
    brand = machine.get("brand")
    named, words = brand if isinstance(brand, str) else "unknown CPU", argv(settings)
    return _File(saved.source, saved.kind, view, named, words, lambda: _to_json(saved), saved.note)


def _object(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _part(saved: Saved, match: str | None, top: int | None) -> Saved:
    """Return the part that is shown; a network's tables have the slowest layers instead."""
    from convprof.studies import shown_part

    document = saved.document
    if match is None and (top is None or len(list(document.networks)) == 1):
        return saved
    part = shown_part.part(document, match, top)
    return replace(saved, document=part, sweep=None, is_whole=False)


_PARTS = {"diagnosis": "top", "instructions": "match"}
"""By kind of documents that are not results, the option that chooses a part of the rows."""


def _check_whole(saved: SavedDocument, flags: dict[str, Any]) -> None:
    """Raise InputError for flags that choose a part of other documents."""
    for field in ("match", "top"):
        if flags[field] is not None and field != _PARTS.get(saved.kind):
            what = f"is not for a document of kind {saved.kind!r}"
            raise InputError(what, field=field, value=flags[field])


def _to_json(saved: Saved | SavedDocument) -> Text:
    from convprof.render import export
    from convprof.studies import show

    if isinstance(saved, show.Saved):
        return export.to_json(saved.document)
    return json.dumps(saved.fields, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


class _Work(Work):
    """Show saved documents; write the only one in other forms."""

    measures = False

    def __init__(self, files: list[_File], outputs: Outputs) -> None:
        self._files, self._outputs = files, outputs

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the forms of the only document; several are not written."""
        first = self._files[0]
        return {"json": first.json, **first.view.forms}

    def document(self) -> dict[str, Any] | None:
        """Return the only document; a report of several files has none."""
        return super().document() if len(self._files) == 1 else None

    def pictures(self) -> list[Picture]:
        """Return the chart of each document; when it was measured is not known."""
        return [
            picture
            for file in self._files
            if file.view.chart is not None
            for picture in self._outputs.pictures(functools.partial(_chart, file))
        ]

    def show(self, console: Console) -> None:
        """Print each document, under its name if there are several."""
        for file in self._files:
            if len(self._files) > 1:
                console.print(file.source, style="bold", markup=False)
            file.view.report(console)

    def answer(self) -> Answer | None:
        """Return the answer of the only document."""
        return self._files[0].view.answer() if len(self._files) == 1 else None

    def recorded(self) -> Sequence[str]:
        """Return the words of the command that wrote the only document."""
        return self._files[0].argv if len(self._files) == 1 else ()

    def remarks(self) -> list[str]:
        """Return the remarks from reading the files, and what documents lack."""
        notes = [file.note for file in self._files if file.note is not None]
        lacking = [f"{file.source}: {text}" for file in self._files for text in file.view.lacks]
        return [f"note: {note}" for note in (*notes, *lacking)]


def _chart(file: _File, _dated: str) -> Drawable | None:
    draw = file.view.chart
    return None if draw is None else draw(file.brand)
