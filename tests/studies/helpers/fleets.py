"""Replies of hosts, and a cluster whose hosts do what a test says."""

from __future__ import annotations

import hashlib
import json
import time
from collections import deque

from convprof.errors import ConvprofError
from convprof.machine import facts
from convprof.measure.report import describe
from convprof.problems import Gemm, TypedProblem
from convprof.problems.from_json import problem_from
from convprof.results import (
    SCHEMA_VERSION,
    Cycles,
    Document,
    Flops,
    Measurement,
    Measurements,
    Time,
    plain,
)
from convprof.studies.fleet import connect, control, hosts, records, study, suite, task
from convprof.studies.fleet.cluster import Answer, Cluster, Workers
from convprof.studies.fleet.connect import Place, Tls
from convprof.studies.fleet.job import Terms
from convprof.studies.fleet.points import Points
from convprof.studies.journal import Journal
from convprof.studies.sweep.plan import KIND
from convprof.studies.sweep.range import Range
from convprof.version import VERSION

PROBLEMS = [Gemm(m=4, n=5, k=6), Gemm(m=7, n=8, k=9), Gemm(m=2, n=2, k=2)]
SUITE = suite.suite_of({TypedProblem(each, "f32"): at for at, each in enumerate(PROBLEMS, 1)})
TERMS = Terms("worker", {"strategy": ("naive",)}, limit_s=5.0, away_s=0.05)


def measurement(problem, seconds=1e-3, status="ok", **changes):
    timed = {
        "time_s": Time(seconds, 0.0, None, None, seconds, 1, 1),
        "cycles": Cycles(1e6, 1e4, "pmu", 1e9),
        "flops": Flops(100, 100),
        "flop_per_s": 100 / seconds,
        "bytes_min": 64,
        "bytes_moved": 64,
        "intensity": 1.5,
        "peak_fraction": 0.5,
        "workspace_bytes": 0,
        "prepare_s": 0.0,
        "compile_s": 0.0,
        "max_rel_error": 0.0,
    }
    fields = timed if status == "ok" else {"reason": "as the test says"}
    return Measurement(
        {**problem, "name": None},
        "naive",
        None,
        changes.pop("dtype", "f32"),
        1,
        "hot",
        status,
        **{**fields, **changes},
    )


def key_of(machine):
    """Return the key of a machine, which is a hash."""
    return hashlib.sha256(machine.encode()).hexdigest()[:12]


def document(measurements, machine="here", version=VERSION):
    known = {"key": key_of(machine), "brand": f"CPU of {machine}"}
    settings = {"argv": [], "budget_s": 0.1, "rounds": None, "seed": 0, "cache": "hot"}
    head = Document(version, known, {}, {"peaks": [], "bandwidths": []}, settings)
    head.measurements += Measurements(measurements)
    return head.to_json()


def reply(problem, seconds=1e-3, machine="here", further=(), **changes):
    """Return what a task returns for a problem that a request describes."""
    content = document([measurement(problem, seconds, **changes), *further], machine)
    return json.dumps({"status": "finished", "document": content})


def point(fields, seconds=1e-3, machine="here", version=VERSION, **changes):
    """Return what a task returns for a point that a request describes."""
    x, over = fields["point"]["x"], fields["point"]["over"]
    problem = describe(Range(problem_from(fields["problem"]), over, (x,)).problem(x))
    swept = {"problem": fields["problem"], "over": over, "values": [x], "meaning": over}
    header = {
        "schema_version": SCHEMA_VERSION,
        "kind": "sweep",
        "tool_version": version,
        "started": "2026-01-01",
        "machine": {"key": key_of(machine), "brand": f"CPU of {machine}"},
        "ceilings": {"peaks": [PEAK], "isa_peaks": None},
        "sweep": swept,
        "settings": {"argv": [], "dtype": "f32", "cache": "hot", "isa": "native", "threads": [1]},
    }
    measurements = plain([measurement(problem, seconds, **changes)])
    record = {"index": 0, "x": x, "state": {}, "measurements": measurements, "comparisons": []}
    content = {"header": header, "point": record}
    return json.dumps({"status": "finished", "document": content})


RANGE = Range(Gemm(m=4, n=4, k=4), "size", (2, 4, 8, 16, 32))
SPREAD = Terms("worker", {"strategy": ("naive",)}, limit_s=20.0, away_s=20.0, spread=True)


def sweep(path, cluster, terms=SPREAD):
    """Measure a sweep on identical hosts; yield the job and the fleet after each result."""
    with Journal(str(path), KIND) as journal:
        job = Points(journal, RANGE, terms, ["fleet", "sweep"])
        job.check_file()
        fleet = study.Fleet(cluster, job)
        for _ in fleet.events():
            yield job, fleet


def held_client(path, go, scheduler, *tls):
    """Measure a sweep that waits after its first point for a file: a process that a test ends."""
    first = RANGE.values[control.index_of(len(RANGE.values))]
    task.measure = points(RANGE, held=set(RANGE.values) - {first}, go=go)
    list(sweep(path, connect.connected(Place("worker", 0, scheduler, Tls(*tls)))))


def points(range_, seconds=0.0, held=(), go=""):
    """Return a task that answers with a point of this machine.

    The points in ``held`` are not finished before the file ``go`` exists. A closure: Dask sends it
    as it is, because workers cannot import tests.
    """
    base, replies = describe(range_.base), {}
    for x in range_.values:
        said = json.loads(point({"problem": base, "point": {"over": range_.over, "x": x}}))
        said["document"]["header"]["machine"]["key"] = facts().identity_key()
        replies[x] = json.dumps(said)

    def measure(data):
        import json
        import time
        from pathlib import Path

        time.sleep(seconds)
        x = json.loads(data)["point"]["x"]
        while x in held and not Path(go).exists():
            time.sleep(0.01)
        return replies[x]

    return measure


PEAK = {
    "isa": "avx2",
    "bits": 256,
    "dtype": "f32",
    "threads": 1,
    "flop_per_s": 1e11,
    "fused": True,
}


class FakeCluster(Cluster):
    """Hosts answer at once, in the order of the requests; ``says`` makes the answer of a task."""

    def __init__(self, names, says=None):
        self._says = says or (lambda _, fields: reply(fields["problem"]))
        key = key_of("here")
        self.known = [hosts.Identity(name, "here", hosts.versions(), key) for name in names]
        self.living = set(names)
        self.ended = set()
        """The names of workers that ended without a host."""
        self.started = 0
        """How often the workers were started again."""
        self.submitted = []
        self.dropped = []
        self._waiting = deque()
        self.claimed = self.closed = False
        self.stored = {}
        """By host, the choices that it has stored."""

    def identities(self, addresses=None):
        names = None if addresses is None else {each.partition(":")[0] for each in addresses}
        return [each for each in self.known if names is None or each.host in names]

    def claim(self):
        self.claimed = True

    def workers(self):
        if self.living is None:
            raise ConvprofError("the scheduler does not answer any more")
        of_hosts = {name: {f"{name}:{self.started}"} for name in self.living}
        return Workers(of_hosts, self.ended)

    def submit(self, key, request):
        assert self.claimed
        self.submitted.append(key)
        self._waiting.append((key, json.loads(request)))

    def answers(self, timeout_s):
        del timeout_s
        if not self._waiting:
            time.sleep(0.01)
            return []
        key, fields = self._waiting.popleft()
        said = self._says(key, fields)
        if said is None:
            return []
        return [said if isinstance(said, Answer) else Answer(key, said)]

    def store(self, hosts, choices):
        self.stored |= {name: json.loads(choices) for name in hosts}
        return dict.fromkeys(hosts, '{"stored": 1}')

    def drop(self, keys):
        self.dropped += keys
        self._waiting = deque(item for item in self._waiting if item[0] not in keys)

    def close(self):
        self.closed = True


def journal_of(path, parts=SUITE, terms=TERMS):
    """Return the open file of a suite, begun if it is new."""
    journal = Journal(str(path), records.KIND)
    known = records.identity(parts, terms.options, terms.by, spread=terms.spread)
    if journal.header is None:
        journal.begin(records.header(known))
    assert records.difference(journal, known) is None
    return journal


def fleet_of(cluster, journal, parts=SUITE, terms=TERMS):
    """Return a fleet that measures a suite."""
    return study.Fleet(cluster, suite.Suite(journal, parts, terms))


def run(path, cluster, terms=TERMS, parts=SUITE):
    """Measure a suite; return the fleet and the statuses by problem and host."""
    with journal_of(path, parts, terms) as journal:
        fleet = fleet_of(cluster, journal, parts, terms)
        for _ in fleet.events():
            pass
        return fleet, statuses(journal)


def statuses(journal):
    return {(part.index, part.host): reply.status for part, reply in records.lines(journal)}


_HEAD = document([measurement(SUITE[0].problem)])


def quick(data):
    """A task that takes no time, by its name in this module: for the cost of scheduling."""
    fields = json.loads(data)
    measured = {**_HEAD["measurements"][0], "problem": {**fields["problem"], "name": None}}
    content = {**_HEAD, "measurements": [measured]}
    return json.dumps({"status": "finished", "document": content})


NAP_S = 1.0


def nap(data):
    """A task that takes ``NAP_S`` and no processor time."""
    time.sleep(NAP_S)
    return quick(data)
