"""The document of ``fleet table`` as a table again; the document may come from a stranger."""

from __future__ import annotations

from typing import Any, get_args

from convprof.errors import InputError
from convprof.json_checks import array, count, mapping, number, positive, text, words
from convprof.results import problem_key
from convprof.studies import reading
from convprof.studies.fleet import records
from convprof.studies.fleet.reply import Status
from convprof.studies.fleet.table import Cell, HostInfo, Row, Table


def of_document(fields: dict[str, Any]) -> tuple[Table, dict[str, float]]:
    """Return the table of a document, and the prices; InputError says what is wrong with it."""
    table = Table(count(fields.get("problems"), 0), fields.get("spread") is True)
    for name, times in mapping(fields.get("controls") or {}).items():
        table.controls[text(name)] = {
            text(way): positive(seconds) for way, seconds in mapping(times).items()
        }
    prices: dict[str, float] = {}
    for host in map(mapping, array(fields.get("hosts"))):
        info = _host_from(host)
        table.hosts[info.name] = info
        if host.get("price_per_hour") is not None:
            prices[info.name] = number(host["price_per_hour"])
    for index, value in enumerate(map(mapping, array(fields.get("rows")))):
        problem = reading.problem(value.get("problem"))
        reading.check_shown(problem)
        cells = {
            text(name): _cell_from(mapping(cell))
            for name, cell in mapping(value.get("hosts")).items()
        }
        if not cells.keys() <= table.hosts.keys():
            raise InputError("a row has a host that is not in the list of hosts")
        dtype = records.dtype_of(value)
        key = (*problem_key(problem), dtype)
        where = value.get("measured_on")
        measured_on = None if where is None else text(where)
        table.rows[key] = Row(problem, count(value.get("count")), cells, dtype, measured_on)
        table.places[key] = index
    return table, prices


def _host_from(fields: dict[str, Any]) -> HostInfo:
    key, brand, cores = (fields.get(name) for name in ("key", "brand", "physical_cores"))
    return HostInfo(
        text(fields.get("name")),
        None if key is None else text(key),
        None if brand is None else text(brand),
        None if cores is None else count(cores),
    )


def _cell_from(fields: dict[str, Any]) -> Cell:
    status: Status = reading.one_of(fields.get("status"), get_args(Status), "status")
    reason, best = fields.get("reason"), fields.get("measurement")
    return Cell(
        status,
        None if reason is None else words(reason),
        None if best is None else reading.measurement(best),
    )
