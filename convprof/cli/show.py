"""``convprof show``: saved results again; and what a killed command left, as a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import options
from convprof.cli.driver import Driver
from convprof.cli.outputs import Outputs
from convprof.errors import InputError

if TYPE_CHECKING:
    from convprof.studies.show import Saved


@click.command("show")
@click.argument("file", nargs=-1, required=True, metavar="FILE...")
@options.output_options
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
    from convprof.studies import show

    found = [show.read(path) for path in paths]
    driver = Driver(outputs)
    for saved in found:
        _show(saved, driver, named=len(found) > 1)
    return driver.code(0)


def _show(saved: Saved, driver: Driver, *, named: bool) -> None:
    from convprof.render import export
    from convprof.render.show import document_report

    document = saved.document
    driver.files(
        {
            "json": lambda: export.to_json(document),
            "csv": lambda: export.to_csv(document),
            "markdown": lambda: export.to_markdown(document),
        }
    )
    if named:
        driver.show(lambda: driver.stdout.print(saved.source, style="bold", markup=False))
    driver.show(lambda: document_report(driver.stdout, document))
    if saved.note is not None:
        driver.remark(f"note: {saved.note}")
