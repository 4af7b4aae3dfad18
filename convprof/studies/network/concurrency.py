"""One network on several numbers of threads, and as streams: latency and throughput."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from convprof import units
from convprof.codegen import nodes
from convprof.measure.contestant import Contestant
from convprof.strategies.networks.streams import Streams
from convprof.studies.comparison import figures, ratio_of
from convprof.studies.run_answer import threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.measure.participant import Participant
    from convprof.measure.session import Session
    from convprof.problems import NetworkProblem
    from convprof.results import Measurement
    from convprof.stats import Ratio
    from convprof.strategies.networks.strategy import Chained
    from convprof.studies.network.options import Options


@dataclass(frozen=True, slots=True)
class Mode:
    """A number of streams, each on a number of threads."""

    streams: int
    threads: int
    """Of one stream."""
    measurement: Measurement
    """Its time is the time per inference: with several streams, less than the latency."""
    ratio: Ratio | None
    """Its time per inference over the time of the first mode; None for the first mode itself."""
    doubt: str | None
    """Why nothing can be concluded from it; None if there is no doubt."""
    first_threads: int
    """Threads of the first mode, of which the speed-up is measured."""

    @property
    def seconds(self) -> float:
        """Seconds per inference."""
        return self.measurement.time_s.median if self.measurement.time_s else 0.0

    @property
    def latency_s(self) -> float:
        """Seconds from the beginning of an inference to its end."""
        return self.seconds * self.streams

    @property
    def per_second(self) -> float:
        """Inferences per second of all streams."""
        return 1 / self.seconds if self.seconds else 0.0

    @property
    def speed_up(self) -> float | None:
        """The throughput over the first mode's, round by round; None without common rounds."""
        if self.ratio is None:
            return 1.0 if (self.streams, self.threads) == (1, self.first_threads) else None
        return self.ratio.inverse.value

    @property
    def efficiency(self) -> float | None:
        """The speed-up over the factor of the threads."""
        used = self.streams * self.threads / self.first_threads
        return None if self.speed_up is None else self.speed_up / used

    def to_json(self) -> dict[str, Any]:
        """Return the mode in JSON types."""
        return {
            "streams": self.streams,
            "threads": self.threads,
            "latency_s": self.latency_s,
            "inferences_per_s": self.per_second,
            "speed_up": self.speed_up,
            "efficiency": self.efficiency,
            "first_threads": self.first_threads,
            "figures": None if self.ratio is None else figures(self.ratio, self.doubt),
            "doubt": self.doubt,
        }


@dataclass(frozen=True, slots=True)
class Concurrency:
    """The modes that were measured in the same rounds."""

    modes: tuple[Mode, ...]
    """By threads, the streams last."""
    streams: Ratio | None
    """The time per inference of the fastest streams over the time of the fastest single stream."""

    def to_json(self) -> dict[str, Any]:
        """Return modes and comparison in JSON types."""
        doubt = self.doubt
        return {
            "modes": [mode.to_json() for mode in self.modes],
            "streams": figures(self.streams, doubt) if self.streams else None,
        }

    @property
    def doubt(self) -> str | None:
        """Why the modes cannot be compared; None if they can."""
        return next((mode.doubt for mode in self.modes if mode.doubt is not None), None)


def contestants(chain: Chained, whole: NetworkProblem, options: Options) -> list[Contestant]:
    """Return the chain on the other numbers of threads, and as streams; empty for one number."""
    others = [count for count in options.thread_counts if count != options.threads]
    if not others:
        return []
    chains = [Contestant(chain, whole, replace(options.setting, threads=count)) for count in others]
    streams = [Contestant(each, whole, options.setting) for each in _streams(chain, options)]
    return [*chains, *streams]


def _streams(chain: Chained, options: Options) -> list[Streams]:
    """Return streams of one thread each; a stream for each node, if several have equal threads."""
    first, *others = nodes.counts(options.threads)
    per_node = first > 1 and others and set(others) == {first}
    return [Streams(chain), *([Streams(chain, first)] if per_node else [])]


def concurrency(session: Session, taking_part: Sequence[Contestant]) -> Concurrency | None:
    """Return the modes that have a time; None unless several numbers of threads were asked for."""
    if len(taking_part) == 1:
        return None
    identities = {id(contestant) for contestant in taking_part}
    participants = [p for p in session.participants if id(p.contestant) in identities and p.samples]
    participants.sort(key=_order)
    if not participants:
        return None
    first = participants[0]
    ranked = sorted(participants, key=lambda p: session.measurement(p).rank)
    fastest = next((p for p in ranked if _streams_of(p) == 1), None)
    streams = next((p for p in ranked if _streams_of(p) > 1), None)
    return Concurrency(
        tuple(_mode(session, p, first) for p in participants),
        ratio_of(streams, fastest) if streams and fastest else None,
    )


def _mode(session: Session, participant: Participant, first: Participant) -> Mode:
    streams = _streams_of(participant)
    ratio = None if participant is first else ratio_of(participant, first)
    measurement = session.measurement(participant)
    doubt = measurement.doubt or session.measurement(first).doubt or (ratio and ratio.doubt)
    each = _threads(participant) // streams
    return Mode(streams, each, measurement, ratio, doubt or None, _threads(first))


def _streams_of(participant: Participant) -> int:
    return participant.contestant.strategy.streams(_threads(participant))


def _threads(participant: Participant) -> int:
    return participant.contestant.setting.threads


def _order(participant: Participant) -> tuple[bool, int]:
    return _streams_of(participant) > 1, _threads(participant)


# The sentence of an answer.


def sentence(concurrency: Concurrency) -> str:
    """Return which mode is best for latency, and which for throughput; nothing in doubt."""
    if concurrency.doubt is not None:
        return f"Nothing is concluded about threads and streams, in doubt: {concurrency.doubt}."
    fastest = min(concurrency.modes, key=lambda mode: mode.latency_s)
    most = max(concurrency.modes, key=lambda mode: mode.per_second)
    return f"{_latency(fastest)}; {_throughput(concurrency, fastest, most)}."


def name(mode: Mode) -> str:
    """Return ``2 threads`` or ``2 streams of 1 thread``."""
    each = threads(mode.threads)
    return each if mode.streams == 1 else f"{mode.streams} streams of {each}"


def _latency(fastest: Mode) -> str:
    """Return ``For latency 2 threads: 7.00 ms, 1.76 times as fast as 1 thread``."""
    start = f"For latency {name(fastest)}: {units.time(fastest.latency_s)}"
    if fastest.ratio is None:
        return start
    verdict, first = fastest.ratio.verdict, threads(fastest.first_threads)
    if verdict != "faster":
        return f"{start}, but the intervals do not separate that from {first}"
    return f"{start}, {fastest.speed_up:.2f} times as fast as {first}"


def _throughput(concurrency: Concurrency, fastest: Mode, most: Mode) -> str:
    rate = f"{units.digits(most.per_second)} inferences per second"
    verdict = concurrency.streams.verdict if concurrency.streams else "undecided"
    if concurrency.streams is None or most is fastest or verdict == "slower":
        return f"for throughput as well, {rate}"
    if verdict != "faster":
        return f"for throughput {name(most)}, {rate}, are not separated from it"
    gain = f"{concurrency.streams.inverse.value:.2f} times as many"
    return f"for throughput {name(most)}: {rate}, {gain}"
