"""Where a fleet measures, and its terms: the options of all its commands that measure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, options
from convprof.cli.number_types import Number, Whole
from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.problems import Problem
    from convprof.studies.fleet.connect import Place, Tls
    from convprof.studies.fleet.job import Terms

_ADDRESS = re.compile(r"(tcp|tls)://([\w.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}")
MOST_WORKERS = 64
MOST_HOSTS = 100_000

place_options = options.stack(
    click.option("--workers", type=Whole(1, MOST_WORKERS), metavar="N", help="Start N workers on this machine; they take turns, each is a host of the table."),  # noqa: E501
    click.option("--scheduler", metavar="ADDRESS", help="The Dask scheduler whose workers measure: tcp://HOST:8786, or tls://HOST:8786."),  # noqa: E501
    click.option("--hosts", type=Whole(1, MOST_HOSTS), default=1, show_default=True, metavar="N", help="Wait until there are N hosts."),  # noqa: E501
    click.option("--each", type=click.Choice(["machine", "worker"]), help="What a host of the table is: all workers of a machine (default of --scheduler), or a worker by its name."),  # noqa: E501
    click.option("--limit", type=Number(1, 86_400), default=600.0, show_default=True, metavar="SECONDS", help="The longest time of one problem on one host."),  # noqa: E501
    click.option("--away", type=Number(1, 86_400), default=30.0, show_default=True, metavar="SECONDS", help="The longest time without a worker until a host is given up; and the wait of --hosts."),  # noqa: E501
    click.option("--tls-ca", metavar="FILE", help="Certificates (PEM) of the authority that the scheduler and all workers have."),  # noqa: E501
    click.option("--tls-cert", metavar="FILE", help="The certificate (PEM) of this command."),
    click.option("--tls-key", metavar="FILE", help="Its private key (PEM)."),
    click.option("--spread", is_flag=True, help="Measure each problem on one of several identical hosts, and not on every host; hosts that differ are left out."),  # noqa: E501
    click.option("--any-version", is_flag=True, help="Accept workers with other versions of convprof, Python or numba."),  # noqa: E501
)  # fmt: skip


def place_from(flags: dict[str, Any]) -> Place:
    """Return where to measure; InputError unless exactly one place is named."""
    from convprof.studies.fleet.connect import Place

    workers, scheduler, each = flags["workers"], flags["scheduler"], flags["each"]
    if (workers is None) == (scheduler is None):
        raise InputError("say where: --workers N on this machine, or --scheduler ADDRESS")
    if scheduler is not None and _ADDRESS.fullmatch(scheduler) is None:
        raise InputError(
            "write tcp://HOST:PORT or tls://HOST:PORT", field="scheduler", value=scheduler
        )
    tls = _tls(flags, scheduler)
    if scheduler is None:
        return Place(each or "worker", workers)
    return Place(each or "machine", 0, scheduler, tls)


def _tls(flags: dict[str, Any], scheduler: str | None) -> Tls | None:
    """Return the files of TLS; InputError unless all fit the scheduler, or none is given."""
    from convprof.studies.fleet.connect import Tls

    files = {name: flags[name] for name in ("tls_ca", "tls_cert", "tls_key")}
    missing = [name for name, path in files.items() if path is None]
    if len(missing) == len(files):
        if scheduler is not None and scheduler.startswith("tls://"):
            raise InputError("tls:// needs --tls-ca, --tls-cert and --tls-key")
        return None
    if missing:
        raise InputError("give --tls-ca, --tls-cert and --tls-key together")
    if scheduler is None or not scheduler.startswith("tls://"):
        raise InputError("--tls-ca needs --scheduler tls://HOST:PORT: tcp:// is not encrypted")
    return Tls(*files.values())


def terms_from(flags: dict[str, Any], place: Place, problems: Sequence[Problem]) -> Terms:
    """Return how to measure; InputError for a flag that is wrong on every host."""
    from convprof.studies import preflight
    from convprof.studies.fleet.job import Terms
    from convprof.studies.fleet.request import OPTIONS

    names = from_flags.names_from(flags, "strategy")
    preflight.check_strategies(names, problems)
    if flags["layout"] is not None:
        from_flags.layouts_from(flags["layout"])
    chosen = {name: _values(flags[name]) for name in OPTIONS if name in flags}
    return Terms(
        place.by,
        {name: values for name, values in chosen.items() if values is not None},
        flags["limit"],
        flags["away"],
        flags["hosts"],
        flags["any_version"],
        flags["spread"],
    )


def _values(value: Any) -> tuple[str, ...] | None:
    """Return the values of an option for a request; empty for a flag, None for an absent one."""
    if value is None or value is False or value == ():
        return None
    if value is True:
        return ()
    return (",".join(value) if isinstance(value, tuple) else str(value),)
