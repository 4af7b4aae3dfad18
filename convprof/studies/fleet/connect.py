"""A connection to a Dask scheduler, or to workers that are started on this machine."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.errors import ConvprofError, InputError, import_reason
from convprof.studies.fleet.cluster import EXTRA, DaskCluster, first_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.studies.fleet.cluster import Cluster
    from convprof.studies.fleet.hosts import By

CONNECT_S = 10.0
"""The longest time, in seconds, until a scheduler answers."""
KEPT = 100
"""Entries in each of Dask's logs."""
_QUIET: dict[str, Any] = {
    # What a user can do something about is said by convprof, in one line.
    "logging": dict.fromkeys(("distributed", "tornado", "asyncio", "bokeh"), "critical"),
    # Dask looks at the stacks of its threads a hundred times per second: noise.
    "distributed.comm.timeouts.connect": f"{CONNECT_S:g}s",
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "10s",
    # By default Dask keeps the last 1,000 messages, transitions and more of everything in this
    # process: 20 to 50 MiB.
    "distributed.admin.low-level-log-length": KEPT,
    "distributed.admin.log-length": KEPT,
    "distributed.diagnostics.computations.max-history": 1,
}


@dataclass(frozen=True)
class Tls:
    """Files in PEM form; all are given, or none."""

    ca: str
    cert: str
    key: str


@dataclass(frozen=True)
class Place:
    """Where a suite is measured."""

    by: By
    workers: int = 0
    """Number of workers on this machine; 0: a scheduler is given."""
    scheduler: str = ""
    tls: Tls | None = None

    def shown(self) -> str:
        """Return the place for a sentence."""
        return self.scheduler or f"{self.workers} local workers"


def require() -> Any:
    """Return the package ``distributed``; ConvprofError if it is not installed."""
    try:
        import dask

        dask.config.set(_QUIET)
        import distributed
    except Exception as error:  # noqa: BLE001  # psutil's too, which Dask asks, without /proc
        raise ConvprofError(f"fleet run needs Dask: {EXTRA} ({import_reason(error)})") from None
    return distributed


def connected(place: Place) -> Cluster:
    """Return a connection; ConvprofError in one line if the scheduler does not answer."""
    distributed = require()
    if not place.scheduler:
        return _local(distributed, place)
    security = None if place.tls is None else _security(distributed, place.tls)
    try:
        client = distributed.Client(
            place.scheduler, timeout=CONNECT_S, security=security, set_as_default=False
        )
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise InputError(
            f"no connection: {_reason(error)}", field="scheduler", value=place.scheduler
        ) from None
    return DaskCluster(client, place.by)


def _local(distributed: Any, place: Place) -> Cluster:
    """Start workers on this machine, behind a certificate that exists in memory only.

    Without one, every user of the machine could let the workers execute anything.
    """
    try:
        security = distributed.Security.temporary()
    except ImportError:
        raise ConvprofError(f"local workers need the package cryptography: {EXTRA}") from None
    try:
        local = distributed.LocalCluster(
            n_workers=place.workers,
            threads_per_worker=1,
            memory_limit=0,  # the memory of a measurement is checked by its own process
            dashboard_address="127.0.0.1:0",  # its pages cannot be turned off
            worker_dashboard_address="127.0.0.1:0",
            security=security,
            silence_logs=logging.CRITICAL,
        )
        client = distributed.Client(local, timeout=CONNECT_S, set_as_default=False)
    except (OSError, RuntimeError, TypeError) as error:
        raise ConvprofError(f"no local workers: {_reason(error)}") from None
    return DaskCluster(client, place.by, local)


def _security(distributed: Any, tls: Tls) -> Any:
    files: Mapping[str, str] = {"tls-ca": tls.ca, "tls-cert": tls.cert, "tls-key": tls.key}
    for flag, path in files.items():
        try:
            with open(path, "rb"):  # noqa: PTH123  # only whether it can be read
                pass
        except OSError as error:
            raise InputError(
                f"cannot be read: {error.strerror}", field=flag.replace("-", "_"), value=path
            ) from None
    return distributed.Security(
        tls_ca_file=tls.ca,
        tls_client_cert=tls.cert,
        tls_client_key=tls.key,
        require_encryption=True,
    )


def _reason(error: BaseException) -> str:
    """Return the innermost cause of an error of the connection, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)
