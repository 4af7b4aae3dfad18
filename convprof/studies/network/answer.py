"""The answer of ``network NAME``: what takes the time, how far the limits are, what may help."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from convprof import units
from convprof.studies.answer import MOST_SENTENCES, Answer
from convprof.studies.compare.isas_answer import added
from convprof.studies.network.concurrency import sentence
from convprof.studies.network.layers import kinds
from convprof.studies.next_command import again_when_idle, against_libraries, fused, planned
from convprof.studies.run_answer import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.results import Measurement
    from convprof.studies.comparison import Comparison
    from convprof.studies.network.layers import Kind, Layer, LayerStep
    from convprof.studies.network.study import NetworkResult

FUSABLE = frozenset({"batch norm", "activation", "add"})
"""Kinds of layers that ``--fuse`` computes together with the layers before them."""
WORTH_FUSING = 0.05
"""Share of the time of fusable layers from which fusing is recommended."""
DOMINANT = 0.25
"""Share of the time from which one layer alone is worth a comparison with libraries."""
MOST_DOUBTFUL = 0.1
"""Share of the time that layers in doubt may take without spoiling the shares of the others."""
_NAMED_SHARE = 0.1
_MOST_KINDS = 3


def answer(result: NetworkResult, command: Sequence[str]) -> Answer | None:
    """Return the answer; None if no layer has a time.

    ``command``: the words that run this network, to which a flag can be added. Layers in doubt are
    left out; where they take much of the time, nothing is concluded.
    """
    if not result.measured:
        return None
    clear = [
        layer
        for layer in result.measured
        if layer.hot and layer.hot.doubt is None and not layer.step.problem.is_opaque
    ]
    if all(layer.step.problem.is_opaque for layer in result.measured):
        return Answer(_opaque_sentence(result), again_when_idle(command), repeats=True)
    if _doubtful_share(result) > MOST_DOUBTFUL:
        flags = ["--fuse"] if result.options.fuse else []
        return Answer((_doubtful(result, clear),), again_when_idle(command, *flags), repeats=True)
    sentences = (
        *([sentence(result.concurrency)] if result.concurrency else []),
        _kinds_sentence(result, clear),
        *_opaque_sentence(result),
        *_limit_sentence(result, clear),
        *_libraries_sentence(result.libraries),
        *_fuse_sentence(result, clear),
    )
    measured = Answer(sentences[:MOST_SENTENCES], _next(result, clear, command))
    return added(measured, result.isas)


def _opaque_sentence(result: NetworkResult) -> tuple[str, ...]:
    """Return the opaque layers and their share; nothing without such a layer."""
    return opaque_sentence([(layer.step, layer.hot_s) for layer in result.measured])


def opaque_sentence(seconds: Sequence[tuple[LayerStep, float]]) -> tuple[str, ...]:
    """Return the operators that a library computes, and their share of the time of all steps."""
    opaque = [(step, time) for step, time in seconds if step.problem.is_opaque]
    if not opaque:
        return ()
    share = sum(time for _, time in opaque) / sum(time for _, time in seconds)
    names = " and ".join(sorted({step.problem.layer_text for step, _ in opaque}))
    computes = f"ONNX Runtime computes {names}, {percent(share)} of all layers' time"
    return (f"{computes}: nothing else is concluded from it.",)


def at_ceilings_s(layers: Sequence[Layer]) -> float | None:
    """Return the seconds of layers that reach their ceilings; None if a ceiling is unknown."""
    seconds = 0.0
    for layer in layers:
        if layer.ceiling is None:
            return None
        seconds += layer.hot_s * min(1.0, layer.ceiling)
    return seconds


def _doubtful_share(result: NetworkResult) -> float:
    """Return the share of the layers' time that is in doubt."""
    doubtful = sum(layer.hot_s for layer in result.measured if layer.hot and layer.hot.doubt)
    return doubtful / sum(layer.hot_s for layer in result.measured)


def _doubtful(result: NetworkResult, clear: list[Layer]) -> str:
    reasons = Counter(m.doubt for layer in result.measured if (m := layer.hot) and m.doubt)
    first, _ = reasons.most_common(1)[0]
    number = f"{len(result.measured) - len(clear)} of {len(result.measured)} layers"
    return f"No conclusion: the times of {number} are in doubt ({first})."


def _kinds_sentence(result: NetworkResult, clear: list[Layer]) -> str:
    """Return ``conv takes 61 % of the layers' time, depthwise conv 31 %.``."""
    total = sum(layer.hot_s for layer in clear)
    of_kinds = kinds(clear)
    named = [kind for kind in of_kinds if kind.hot_s >= _NAMED_SHARE * total][:_MOST_KINDS]
    first, *others = named or of_kinds[:1]
    more = "".join(f", {kind.name} {percent(kind.hot_s / total)}" for kind in others)
    own = [layer for layer in result.measured if not layer.step.problem.is_opaque]
    left_out = len(own) - len(clear)
    without = f" ({left_out} in doubt left out)" if left_out else ""
    return f"{first.name} takes {percent(first.hot_s / total)} of the layers' time{more}{without}."


def _limit_sentence(result: NetworkResult, clear: list[Layer]) -> tuple[str, ...]:
    """Return how far the chain is from its ceilings, and which kind loses most of the time."""
    chain, limit_s = result.chain, at_ceilings_s(clear)
    if chain is None or chain.time_s is None:
        return ()
    if chain.doubt is not None:
        return (f"The time of the chain is in doubt: {chain.doubt}.",)
    time = units.time(chain.time_s.median)
    start = (
        f"The whole chain takes {time}, {units.digits(1 / chain.time_s.median)} per second, "
        f"{_conversions(result, chain.time_s.median)}"
    )
    complete = not result.missing and len(clear) == len(result.measured)
    if not limit_s or not complete or chain.time_s.median <= limit_s:
        return (f"{start}.",)
    times = units.digits(chain.time_s.median / limit_s, 2)
    return (f"{start}: {times} times as long as its layers at their ceilings{_most_lost(clear)}.",)


def _conversions(result: NetworkResult, chain_s: float) -> str:
    """Return how much of the chain's time goes into conversions, and between what they convert."""
    if not result.conversions:
        return f"without a conversion between {'f32 and bytes' if result.in_bytes else 'layouts'}"
    share = percent(sum(result.conversions.values()) / chain_s)
    count = len(result.conversions)
    several = "s" if count > 1 else ""
    return f"{share} of it in {count} conversion{several} between {result.converted}"


def _most_lost(clear: list[Layer]) -> str:
    """Return ``; conv loses most (limited by compute)``."""

    def lost(kind: Kind) -> float:
        return kind.hot_s * (1 - min(1.0, kind.ceiling or 0.0))

    of_kinds = kinds(clear)
    worst = max(of_kinds, key=lost)
    if len(of_kinds) == 1 or worst.ceiling is None:
        return ""
    by = f", limited by {worst.bound}" if worst.bound in {"compute", "memory"} else ""
    return f"; {worst.name} loses most of it ({percent(worst.ceiling)} of its ceiling{by})"


def _libraries_sentence(libraries: Sequence[Comparison[Measurement]]) -> tuple[str, ...]:
    """Return how the fastest library compares with the chain."""
    clear = [each for each in libraries if each.doubt is None]
    if not clear:
        return ()
    best = min(clear, key=lambda each: each.ratio.value)
    ratio = best.ratio
    words = {
        "faster": f"{best.a.strategy} is faster: it takes {ratio.value:.2f} times as long",
        "slower": f"convprof is faster: {best.a.strategy} takes {ratio.value:.2f} times as long",
        "same": f"{best.a.strategy} is equally fast",
        "undecided": f"the intervals do not separate {best.a.strategy} from convprof",
    }
    return (f"{words[best.verdict][0].upper()}{words[best.verdict][1:]}.",)


def _fusable_share(result: NetworkResult, clear: list[Layer]) -> float:
    """Return the share of the layers' time that fusing may save; 0 if they are fused."""
    if result.options.fuse:
        return 0.0
    total = sum(layer.hot_s for layer in clear)
    return sum(layer.hot_s for layer in clear if layer.kind in FUSABLE) / total


def _fuse_sentence(result: NetworkResult, clear: list[Layer]) -> tuple[str, ...]:
    share = _fusable_share(result, clear)
    if share < WORTH_FUSING:
        return ()
    kinds_there = [kind.name for kind in kinds(clear) if kind.name in FUSABLE]
    named = " and ".join(kinds_there)
    saved = f"Fusing computes {named} layers, {percent(share)} of the time, together with the"
    return (f"{saved} layers before them.",)


def _next(result: NetworkResult, clear: list[Layer], command: Sequence[str]) -> str:
    """Return the command that helps most: fuse, compare a dominant layer, or plan."""
    if _fusable_share(result, clear) >= WORTH_FUSING:
        return fused(command)
    if result.in_bytes:
        return _next_in_bytes(clear, command)
    total = sum(layer.hot_s for layer in clear)
    slowest = max(clear, key=lambda layer: layer.hot_s)
    if slowest.hot is not None and slowest.hot_s >= DOMINANT * total and _computed(slowest):
        return against_libraries(slowest.hot) or planned(command)
    return planned(command)


def _next_in_bytes(clear: list[Layer], command: Sequence[str]) -> str:
    """Return the command that compares the slowest product with libraries.

    ``--plan`` is for networks in floats.
    """
    products = [layer for layer in clear if _computed(layer)]
    slowest = max(products, key=lambda layer: layer.hot_s, default=None)
    if slowest is None or slowest.hot is None:
        return again_when_idle(command, "--fuse")
    return against_libraries(slowest.hot) or again_when_idle(command, "--fuse")


def _computed(layer: Layer) -> bool:
    """Whether a command can name the layer: a convolution, a product or attention."""
    return bool(layer.step.problem.macs) and layer.step.problem.kind != "operation"
