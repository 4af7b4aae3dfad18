"""The hosts of a fleet: who is there at the start, who comes later, and who is gone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from convprof.errors import ConvprofError, InputError, one_line
from convprof.studies.fleet import hosts, identical
from convprof.studies.fleet.division import Host

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from convprof.studies.fleet.cluster import Cluster
    from convprof.studies.fleet.hosts import Identity
    from convprof.studies.fleet.job import Terms

WAIT_S = 0.2
"""Seconds between two looks while the command waits for hosts."""
SLACK_S = 60.0
"""Seconds that a task may take beyond the time limit of its process."""
TURNS = 2
"""Time limits without an answer after which a machine hangs: before ours, a task of a client that
has ended may still measure there."""


@dataclass(frozen=True)
class Change:
    """What has become of a host."""

    host: Host
    what: Literal["came", "returned", "restarted", "gone"]
    """``restarted``: all its workers are new. ``returned``: it was given up before."""
    reason: str = ""


@dataclass
class _Presence:
    """When a host was seen."""

    workers: set[str]
    """The addresses of its workers, when there were any."""
    missing_since: float | None = None
    is_given_up: bool = False


class Members:
    """The hosts that take part."""

    def __init__(self, cluster: Cluster, terms: Terms) -> None:
        """No host takes part before ``find``."""
        self._cluster, self._terms = cluster, terms
        self.hosts: dict[str, Host] = {}
        self._presence: dict[str, _Presence] = {}
        self._heard: dict[str, float] = {}
        """By machine, when it answered last."""
        self._facts: Mapping[str, Any] = {}
        """The facts of all hosts, if they must be identical."""
        self._strangers: set[str] = set()
        """The hosts that do not take part."""
        self._ended: set[str] = set()
        """The names of workers that ended without a host."""
        self.notes: list[str] = []
        """Remarks on hosts."""

    def find(self, machine: str | None) -> Iterator[str]:
        """Wait until there are as many hosts as the terms say; InputError if they do not come.

        ``machine``: the key of the machine that identical hosts must be.
        """
        until = time.monotonic() + self._terms.away_s
        while True:
            known = self._cluster.identities()
            number = len({identity.host for identity in known})
            if number >= self._terms.hosts:
                break
            if time.monotonic() > until:
                raise InputError(
                    f"{number} of {self._terms.hosts} came within {self._terms.away_s:g} s",
                    field="hosts",
                    value=self._terms.hosts,
                )
            yield f"waiting for hosts: {number} of {self._terms.hosts}"
            time.sleep(WAIT_S)
        self._check_versions(known)
        known = sorted(known, key=lambda each: each.host)
        for identity in self._identical(known, machine) if self._terms.spread else known:
            self._add(identity)

    def _check_versions(self, known: Sequence[Identity]) -> None:
        """Raise InputError for a worker with other versions, or remark it."""
        for identity in known:
            differ = hosts.differences(identity.versions)
            if differ and not self._terms.any_version:
                raise InputError(
                    f"{identity.host} has {', '.join(differ)}. Install the same versions; this "
                    "flag accepts others",
                    field="any_version",
                )
            if differ:
                self.notes.append(f"{identity.host} has {', '.join(differ)}")

    def _identical(self, known: Sequence[Identity], machine: str | None) -> list[Identity]:
        """Return the hosts that are identical; each other one is a remark."""
        of_file = [identity for identity in known if machine in (None, identity.key)]
        if not of_file:
            raise InputError("no host is the machine of the results in the file", field="json")
        self._facts = hosts.largest(of_file)
        by_host = {identity.host: identity for identity in known}
        chosen = [identity for identity in by_host.values() if self._is_identical(identity)]
        self._strangers |= by_host.keys() - {identity.host for identity in chosen}
        return chosen

    def _is_identical(self, identity: Identity) -> bool:
        differ = identical.difference(identity.facts, self._facts)
        if differ is not None:
            self.notes.append(f"{identity.host} is left out, it is not identical: {differ}")
        return differ is None

    def _add(self, identity: Identity) -> Host:
        host = self.hosts.setdefault(identity.host, Host(identity.host, identity.machine))
        self._presence.setdefault(host.name, _Presence(set()))
        return host

    def present(self) -> list[Host]:
        """Return the hosts that are not given up."""
        return [host for name, host in self.hosts.items() if not self._presence[name].is_given_up]

    def hear(self, host: Host) -> None:
        """Note that the machine of a host has answered."""
        self._heard[host.machine] = time.monotonic()

    def look(self) -> list[Change]:
        """Return what has changed; ConvprofError without a scheduler."""
        workers = self._cluster.workers()
        self._remark_ended(workers.ended)
        known = workers.of_hosts
        changes = []
        for host in self.hosts.values():
            change = self._change(host, known.get(host.name, set()))
            if change is not None:
                changes.append(change)
        came = {name: known[name] for name in known.keys() - self.hosts.keys() - self._strangers}
        return [*changes, *(Change(host, "came") for host in self._newcomers(came))]

    def _remark_ended(self, names: AbstractSet[str]) -> None:
        """Remark each worker once that ended without a host."""
        for name in sorted(names - self._ended):
            self.notes.append(
                f"{one_line(name)} is left out: it ended without loading this version of convprof; "
                "its log says why"
            )
        self._ended |= names

    def _change(self, host: Host, workers: set[str]) -> Change | None:
        presence, now = self._presence[host.name], time.monotonic()
        if presence.is_given_up:
            return self._returned(host, presence, workers)
        if host.ends:
            return None
        restarted = workers and presence.workers and not presence.workers & workers
        presence.workers = workers or presence.workers
        if workers:
            presence.missing_since = None
        elif presence.missing_since is None:
            presence.missing_since = now
        silence = TURNS * self._terms.limit_s + SLACK_S
        missing_since = presence.missing_since
        if missing_since is not None and now - missing_since >= self._terms.away_s:
            return self._gone(host, "its worker is gone")
        if now - self._heard.setdefault(host.machine, now) > silence:
            return self._gone(host, f"its worker did not answer for {silence:g} s")
        return Change(host, "restarted") if restarted else None

    def _gone(self, host: Host, reason: str) -> Change:
        self._presence[host.name].is_given_up = True
        return Change(host, "gone", reason)

    def _returned(self, host: Host, presence: _Presence, workers: set[str]) -> Change | None:
        """Return the change if a host that was given up has new workers."""
        if not workers or workers & presence.workers:
            return None
        presence.workers = workers
        if self._admitted(host.name, workers) is None:
            return None
        self._presence[host.name] = _Presence(workers)
        self.hear(host)
        return Change(host, "returned")

    def _newcomers(self, workers: Mapping[str, set[str]]) -> list[Host]:
        """Add the hosts that came after the start."""
        newcomers = []
        for name in sorted(workers):
            identity = self._admitted(name, workers[name])
            if identity is None:
                self._strangers.add(name)
            else:
                newcomers.append(self._add(identity))
        return newcomers

    def _admitted(self, name: str, workers: set[str]) -> Identity | None:
        """Return who a host is that came later; None, with a remark, if it does not take part."""
        try:
            known = self._cluster.identities(sorted(workers))
        except ConvprofError as error:
            self.notes.append(f"{name} came later, and is left out: {error}")
            return None
        known = [identity for identity in known if identity.host == name]
        for identity in known:
            differ = hosts.differences(identity.versions)
            if differ and not self._terms.any_version:
                self.notes.append(f"{name} came later, and is left out: it has {', '.join(differ)}")
                return None
            if self._terms.spread and not self._is_identical(identity):
                return None
        return known[0] if known else None  # None: another client groups its workers so
