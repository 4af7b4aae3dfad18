"""``convprof fleet table``: the results of a fleet as a table of problems x hosts."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import options
from convprof.cli.driver import Driver, Work
from convprof.cli.help_page import Command
from convprof.cli.outputs import Outputs
from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console

    from convprof.render.files import Text
    from convprof.studies.answer import Answer
    from convprof.studies.fleet.table import Table


@click.command("table", cls=Command, short_help="Compare hosts: times, shares of peaks, prices.")
@click.argument("file", nargs=-1, required=True, metavar="FILE...")
@click.option("--price", multiple=True, metavar="HOST=NUMBER", help="Price of a host per hour, in any currency: then what a million runs of the suite cost.")  # noqa: E501  # fmt: skip
@options.output_options(csv="Write one row per problem and host.")
def table(**flags: Any) -> int:
    """Show what `fleet run` measured: problems x hosts, and the total of each host.

    FILE is what --json of `fleet run` wrote, finished or not. Of several files of one suite the
    later one replaces results of the same host. A host's total is over the problems that all hosts
    have finished, each as often as the suite has it.
    """
    outputs = Outputs.of(flags)
    from convprof.studies.fleet import files

    read = files.read(flags["file"])
    prices = _prices(flags["price"], list(read.hosts))
    return Driver(outputs).run(TableWork(read, prices, flags["file"][0]))


class TableWork(Work):
    """Show and write the table: nothing is measured."""

    measures = False

    def __init__(self, table: Table, prices: Mapping[str, float], path: str) -> None:
        """``path``: the file, for the next command."""
        self._table, self._prices, self._path = table, prices, path

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the document, the rows and the tables."""
        from convprof.render import fleet

        return {
            "json": self._to_json,
            "csv": lambda: fleet.to_csv(self._table, self._prices),
            "markdown": lambda: fleet.to_markdown(self._table, self._prices),
        }

    def _to_json(self) -> str:
        from convprof.studies.fleet.table import document

        content = document(self._table, self._prices, self.answer())
        return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def statuses(self) -> set[str]:
        """Return what became of the problems, in the words of measurements."""
        cells = [cell for row in self._table.ordered for cell in row.cells.values()]
        return {"ok" if cell.status == "finished" else cell.status for cell in cells}

    def show(self, console: Console) -> None:
        """Print the problems and the hosts."""
        from convprof.render.fleet import fleet_report

        fleet_report(console, self._table, self._prices)

    def answer(self) -> Answer | None:
        """Return which host is the fastest, and which one costs the least."""
        from convprof.studies.fleet.answer import answer

        return answer(self._table, self._prices, self._path)


def _prices(texts: Sequence[str], hosts: Sequence[str]) -> dict[str, float]:
    """Return the prices by host; InputError for another form, and for a host without results."""
    prices: dict[str, float] = {}
    for text in texts:
        name, sign, number = text.rpartition("=")
        try:
            price = float(number)
        except ValueError:
            price = math.nan
        if not sign or not 0 <= price < math.inf:
            raise InputError("write HOST=NUMBER, such as node1=0.34", field="price", value=text)
        if name not in hosts:
            known = ", ".join(hosts) or "there is no host"
            raise InputError(
                f"no host of this name in the file: {known}", field="price", value=text
            )
        prices[name] = price
    return prices
