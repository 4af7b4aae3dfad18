"""What ``network`` measured, out of its result document: layers, chains and passes.

The document says of each layer what tables and answers need; times are in its measurements.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.dtypes import types
from convprof.errors import InputError
from convprof.json_checks import array, count, mapping, number, text, words
from convprof.json_records import record, records
from convprof.problems.network import NetworkProblem
from convprof.results import NATIVE
from convprof.strategies.networks.choice import LayerChoice
from convprof.strategies.networks.streams import named
from convprof.studies.compare import isas
from convprof.studies.comparison import Comparison, read_ratio
from convprof.studies.network.accuracy import Accuracy
from convprof.studies.network.concurrency import Concurrency, Mode
from convprof.studies.network.layers import Layer
from convprof.studies.network.options import Options
from convprof.studies.network.planned import OPTIMAL, Planned, PlanResult, Standing
from convprof.studies.network.saved_step import layers_of, read_shape, read_step
from convprof.studies.network.study import CHAIN, NetworkResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.problems.shapes import Shape
    from convprof.results import Document, Measurement
    from convprof.stats import Ratio


MOST_CHAINS = 1000
"""Of a document: a plan has four, and one for each library and number of threads."""


def network_result(fields: dict[str, Any], document: Document) -> NetworkResult:
    """Return the layers and the chain of an entry of ``networks`` of kind ``network``."""
    whole = _Whole.of(fields, document)
    chain = whole.named(CHAIN)
    if not layers_of(fields):
        raise InputError("it has no layer")
    layers = [_layer(mapping(item), whole) for item in layers_of(fields)]
    compared = isas.read(list(document.comparisons), list(document.measurements))
    return NetworkResult(
        network=whole.network,
        input=whole.input,
        options=whole.options,
        layers=layers,
        chain=chain,
        conversions={
            words(item.get("name")): number(item.get("chain_s"))
            for item in map(mapping, array(fields.get("conversions")))
        },
        libraries=_libraries(fields, whole, chain),
        excluded=[m for m in document.measurements if m.status != "ok"],
        concurrency=_concurrency(fields.get("concurrency"), whole),
        isa_chains=_isa_chains(whole) if compared else [],
        isas=compared,
        accuracy=_accuracy(fields),
        widened=[words(name) for name in array(fields.get("widened", []))],
        reasons={
            words(each.get("name")): words(each.get("reason"))
            for each in map(mapping, array(fields.get("reasons", [])))
        },
    )


def plan_result(fields: dict[str, Any], document: Document) -> PlanResult:
    """Return the plan of an entry of ``networks`` of kind ``plan``."""
    whole = _Whole.of(fields, document)
    chains = [mapping(item) for item in array(fields.get("chains"))]
    if len(chains) > MOST_CHAINS:
        raise InputError("it has far too many chains")
    named = [(item, whole.named(text(item.get("name")))) for item in chains]
    optimal = next((m for item, m in named if OPTIMAL in _names(item)), None)
    conversions = [words(name) for name in array(fields.get("conversions"))]
    planned = fields.get("planned_conversions", conversions)
    return PlanResult(
        network=whole.network,
        input=whole.input,
        options=whole.options,
        layers=[_planned(mapping(item)) for item in layers_of(fields)],
        conversions=conversions,
        standings=[_standing(item, m, optimal) for item, m in named if m is not None],
        excluded=[m for m in document.measurements if m.status != "ok"],
        chosen=words(fields.get("chosen", OPTIMAL)),
        planned_conversions=[words(name) for name in array(planned)],
        concurrency=_concurrency(fields.get("concurrency"), whole),
        accuracy=_accuracy(fields),
    )


Time = tuple[str, str, str, float]


@dataclass(frozen=True, slots=True)
class _Whole:
    """The network, and what was measured of it as a whole and of its layers."""

    network: str
    input: Shape
    options: Options
    chains: Sequence[Measurement]
    """Whole networks that have a time."""
    layers: Mapping[Time, Sequence[Measurement]]
    """Measurements of layers by state of the caches, strategy, layout and seconds."""

    @classmethod
    def of(cls, fields: dict[str, Any], document: Document) -> _Whole:
        timed = [m for m in document.measurements if m.time_s is not None]
        chains = [m for m in timed if m.problem["kind"] == NetworkProblem.kind]
        if len(chains) > MOST_CHAINS:
            raise InputError("it has far too many whole networks")
        threads = count(fields.get("threads"))
        own = next((m for m in chains if m.threads == threads), None)
        isa = fields.get("isa") or (own and own.isa) or NATIVE
        modes = mapping(fields.get("concurrency") or {}).get("modes") or []
        options = Options(
            layout=text(fields.get("layout")),
            threads=threads,
            thread_counts=tuple(count(mapping(mode).get("threads")) for mode in array(modes)),
            dtype=types(text(fields.get("dtype") or (own.dtype if own else "f32"))).name,
            isas=(text(isa),),
            fuse=fields.get("fused", True) is True,
        )
        network, shape = words(fields.get("network")), read_shape(fields.get("input"))
        layers: dict[Time, list[Measurement]] = {}
        for m in timed:
            if m.time_s is not None and m.problem["kind"] != NetworkProblem.kind:
                key = (m.cache, m.strategy, m.layout or "", m.time_s.median)
                layers.setdefault(key, []).append(m)
        return cls(network, shape, options, chains, layers)

    def named(self, strategy: str, threads: int | None = None) -> Measurement | None:
        """Return the whole network by a strategy, on the settings' or another number of threads."""
        isa = self.options.isa
        every = [
            m
            for m in self.chains
            if m.strategy == strategy and m.threads == (threads or self.options.threads)
        ]
        return next((m for m in every if m.isa == isa), next(iter(every), None))


def _layer(fields: dict[str, Any], whole: _Whole) -> Layer:
    hot, cold = (_measured(fields, whole, cache) for cache in ("hot", "cold"))
    ceiling, chain_s = fields.get("ceiling_fraction"), fields.get("chain_s")
    chosen, bound = fields.get("chosen"), fields.get("bound")
    if bound not in ("compute", "memory", None):
        raise InputError("an unknown bound of a layer")
    layout = hot.layout if hot else None
    return Layer(
        step=read_step(fields, hot, has_layout=layout is not None),
        hot=hot,
        cold=cold,
        chain_s=None if chain_s is None else number(chain_s),
        ceiling=None if ceiling is None else number(ceiling),
        bound=bound,
        chosen=None if chosen is None else words(chosen),
        view=fields.get("view") is True,
    )


def _measured(fields: dict[str, Any], whole: _Whole, cache: str) -> Measurement | None:
    """Return a layer's measurement: of its own name, else of the first layer that is equal."""
    seconds = fields.get(f"{cache}_s")
    if seconds is None:
        return None
    strategy, layout = (words(fields.get(key) or "") for key in ("strategy", "layout"))
    own = f"{whole.network}:{words(fields.get('name'))}"
    equal = whole.layers.get((cache, strategy, layout, number(seconds)), [])
    named = (m for m in equal if m.problem["name"] == own)
    measurement = next(named, next(iter(equal), None))
    if measurement is None:
        raise InputError(f"the time of {words(fields.get('name'))} is not in its measurements")
    return measurement


def _libraries(
    fields: dict[str, Any], whole: _Whole, chain: Measurement | None
) -> list[Comparison[Measurement]]:
    libraries = []
    for item in map(mapping, array(fields.get("libraries", []))):
        measured = whole.named(text(item.get("name")))
        if measured is not None and chain is not None:
            libraries.append(Comparison(measured, chain, read_ratio(item)))
    return libraries


def _accuracy(fields: dict[str, Any]) -> list[Accuracy]:
    return list(records(Accuracy, fields.get("accuracy", [])))


def _isa_chains(whole: _Whole) -> list[Measurement]:
    return [m for m in whole.chains if m.strategy == CHAIN and m.threads == whole.options.threads]


def _concurrency(value: Any, whole: _Whole) -> Concurrency | None:
    """Return the modes; None without several, or where a document of an older version lacks one."""
    if value is None:
        return None
    fields = mapping(value)
    modes = [_mode(mapping(item), whole) for item in array(fields.get("modes"))]
    known = tuple(mode for mode in modes if mode is not None)
    streams = fields.get("streams")
    ratio = None if streams is None else read_ratio(mapping(streams))
    return Concurrency(known, ratio) if known else None


def _mode(fields: dict[str, Any], whole: _Whole) -> Mode | None:
    mode = record(_SavedMode, fields)
    chains = {m.strategy for m in whole.chains}
    chain = CHAIN if CHAIN in chains else OPTIMAL
    strategy = named(mode.threads) if mode.streams > 1 else chain
    measured = whole.named(strategy, mode.streams * mode.threads)
    if measured is None or mode.first_threads is None:
        return None
    ratio = None if mode.figures is None else read_ratio(mapping(mode.figures))
    return Mode(mode.streams, mode.threads, measured, ratio, mode.doubt, mode.first_threads)


@dataclass(frozen=True, slots=True)
class _SavedMode:
    """The fields of a mode in a document."""

    streams: int
    threads: int
    first_threads: int | None = None
    figures: dict[str, Any] | None = None
    doubt: str | None = None


# A plan.


def _names(fields: dict[str, Any]) -> tuple[str, ...]:
    return (text(fields.get("name")), *(text(name) for name in array(fields.get("also", []))))


def _standing(
    fields: dict[str, Any], measured: Measurement, optimal: Measurement | None
) -> Standing:
    name, *also = _names(fields)
    predicted, conversions = fields.get("predicted_s"), fields.get("conversions")
    return Standing(
        name=name,
        also=tuple(also),
        library=fields.get("library") is True,
        predicted_s=None if predicted is None else number(predicted),
        conversions=None if conversions is None else count(conversions, 0),
        measurement=measured,
        ratio=_ratio(fields),
        optimal_doubt=optimal.doubt if optimal else None,
    )


def _ratio(fields: dict[str, Any]) -> Ratio | None:
    return None if fields.get("ratio") is None else read_ratio(fields)


def _planned(fields: dict[str, Any]) -> Planned:
    layout, blocking = fields.get("layout"), fields.get("blocking")
    strategy, fastest = text(fields.get("strategy")), mapping(fields.get("fastest", {}))
    return Planned(
        step=read_step(fields, None, has_layout=layout is not None),
        choice=LayerChoice(strategy, "" if layout is None else text(layout)),
        strategy=strategy,
        blocking=None if blocking is None else mapping(blocking),
        seconds=number(fields.get("predicted_s")),
        fastest={
            text(order): (text(mapping(way).get("strategy")), number(way.get("seconds")))
            for order, way in fastest.items()
        },
    )
