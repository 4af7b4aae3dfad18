"""The Dask plugin that gives each worker the resource of its host. Imports ``distributed``."""

from __future__ import annotations

from typing import Any

from distributed.diagnostics.plugin import WorkerPlugin

from convprof.studies.fleet import hosts

NAME = "convprof"


class HostPlugin(WorkerPlugin):
    """One abstract resource of 1 for each worker: Dask runs one of its tasks at a time there.

    Tasks of a host need the resource of that host, so that Dask moves them to no other host. Dask
    also installs the plugin on workers that start later, such as one that a nanny starts again.
    """

    def __init__(self, by: str) -> None:
        """``by``: a client that groups workers in another way has a plugin of its own."""
        self.by, self.name = by, f"{NAME}-{by}"

    async def setup(self, worker: Any) -> None:
        """Add the resource."""
        await worker.set_resources(**{self._resource(worker): 1})

    async def teardown(self, worker: Any) -> None:
        """Take the resource away."""
        if worker.status.name == "running":
            await worker.set_resources(**{self._resource(worker): 0})

    def _resource(self, worker: Any) -> str:
        return hosts.RESOURCE + hosts.host_here(self.by, worker.name)


def identity(by: str, dask_worker: Any) -> str:
    """Return what a worker says of itself."""
    return hosts.identity(by, dask_worker.name)
