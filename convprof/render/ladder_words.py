"""The effect of a rung of a ladder, as a sentence from the measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units

if TYPE_CHECKING:
    from convprof.results import Measurement
    from convprof.studies.evidence import Evidence, Limit
    from convprof.studies.ladder.study import Step

MORE = 1.03
"""A limit counts as removed if the next rung's limit is higher by at least this factor: measured
peaks and latencies repeat within about 2 %."""
NO_LIMIT = 0.97


def sentence(step: Step, below: Step | None, limited_by: str) -> str:
    """Return one sentence: the idea, the removed limit, the remaining limit, the reached rate.

    ``below`` is the timed rung that the rung is compared with, ``limited_by`` the limit of the rung
    outside its inner loop.
    """
    parts = [idea(step)]
    if below is not None:
        parts.append(_change(step, below))
    parts += step.explanation
    if step.before is not None and step.before.verdict == "slower":
        slower = units.digits(step.before.ratio.value)
        parts.append(f"but it takes {slower} times as long as the rung before")
    parts.append(_left(step, limited_by))
    return f"{step.rung.name}: {'; '.join(part for part in parts if part)}."


def idea(step: Step) -> str:
    """Return the idea that the rung adds."""
    rung = step.rung
    if rung.name == rung.strategy:
        return step.summary
    return f"{rung.strategy} on {rung.threads} threads"


def loop_counts(evidence: Evidence) -> str:
    """Return ``112 FMA, 8+56 loads, zmm``: whole vectors + single elements loaded."""
    loop = evidence.loop
    names = {"fma": "FMA", "mul": "mul", "add": "add"}
    parts = [f"{count} {names[kind]}" for kind, count in loop.counts.items() if count]
    single = f"+{loop.elements}" if loop.elements else ""
    parts.append(f"{loop.loads}{single} loads")
    if loop.stores:
        parts.append(f"{loop.stores} stores")
    if loop.spills:
        parts.append(f"{loop.spills} spills")
    return ", ".join([*parts, loop.width])


def chains(evidence: Evidence) -> str:
    """Return ``8 of 8``: the present chains, and the necessary chains."""
    count = evidence.loop.chains
    if not count:
        return "none"
    needed = "?" if evidence.chains_needed is None else str(evidence.chains_needed)
    return f"{count} of {needed}"


def share(value: float) -> str:
    """Return ``0.78 %``, ``50 %``."""
    return f"{units.digits(100 * value, 2)} %"


def _change(step: Step, below: Step) -> str:
    """Return the removed limit of the rung below, or another change."""
    parts = []
    now, then = step.evidence, below.evidence
    if now is not None and then is not None:
        gone = _removed(now, then)
        if gone is not None:
            cause = limit_words(then, gone)
            parts.append(f"removes the limit of {below.rung.name}: {cause} ({_at_most(gone)})")
        elif now.loop == then.loop:
            parts.append(f"the inner loop of {below.rung.name} does the same")
        parts += [_traffic(now, then, gone), _more_chains(now, then, gone)]
        parts.append(_walked(now, then))
    parts += [_threads(step, below), _executed(step.measurement, below.measurement)]
    return "; ".join(part for part in parts if part)


def _traffic(now: Evidence, then: Evidence, gone: Limit | None) -> str:
    """Return the bytes per FLOP if they are fewer than before."""
    ours, theirs = now.loop.bytes_per_flop, then.loop.bytes_per_flop
    if ours * MORE > theirs or (gone is not None and gone.kind == "loads"):
        return ""
    return f"{units.digits(ours, 2)} B per FLOP from and to L1 instead of {units.digits(theirs, 2)}"


def _more_chains(now: Evidence, then: Evidence, gone: Limit | None) -> str:
    """Return the chains of dependent sums if they are more than before."""
    ours, theirs = now.loop.chains, then.loop.chains
    if not 0 < theirs < ours or (gone is not None and gone.kind == "chains"):
        return ""
    return f"{ours} chains of sums instead of {theirs}"


def removed(step: Step, below: Step) -> str:
    """Return in a few words the limit of the rung below that a rung removes; "" for no limit."""
    if step.measurement.threads != below.measurement.threads:
        return (
            "the peak of one core" if below.measurement.threads == 1 else "the peak of fewer cores"
        )
    now, then = step.evidence, below.evidence
    gone = _removed(now, then) if now is not None and then is not None else None
    if then is None or gone is None:
        return _executed(step.measurement, below.measurement)
    loop = then.loop
    if gone.kind == "chains":
        return f"{loop.chains} chain{'s' if loop.chains > 1 else ''} of dependent sums"
    if gone.kind == "loads":
        return f"{units.digits(loop.bytes_per_flop, 2)} B per FLOP from L1"
    return limit_words(then, gone)


def _removed(now: Evidence, then: Evidence) -> Limit | None:
    """Return the binding limit of the rung below, if the rung above does not have it any more."""
    limit = then.binding
    after = now.share(limit.kind) if limit else None
    return limit if limit is not None and _gone(limit, after) else None


def _gone(limit: Limit, after: float | None) -> bool:
    """Whether a limit is higher, or does not exist any more because there are no chains."""
    return limit.share < NO_LIMIT and (after is None or after > MORE * limit.share)


def limit_words(evidence: Evidence, limit: Limit) -> str:
    """Return the cause of a limit, with its numbers."""
    loop = evidence.loop
    if limit.kind == "chains":
        count = f"{loop.chains} chain{'s' if loop.chains > 1 else ''} of dependent sums"
        each = f"{evidence.latency:.1f} cycles per sum" if evidence.latency else ""
        return f"{count}, {each}, needs {evidence.chains_needed}"
    if limit.kind == "loads":
        rate = evidence.l1_bytes_per_s
        at = "" if rate is None else f", at {units.si(rate, 'B/s')}"
        return f"{units.digits(loop.bytes_per_flop, 2)} B per FLOP from and to L1{at}"
    elements = "one element" if loop.width == "scalar" else f"{loop.lanes:.0f} elements"
    separate = "" if loop.fused else ", multiply and add not fused"
    return f"{elements} per instruction{separate}"


def _at_most(limit: Limit) -> str:
    return f"at most {share(limit.share)} of a core's peak"


def _walked(evidence: Evidence, before_it: Evidence) -> str:
    """Return the share of the passed bytes that is read, if it is known and has changed."""
    now, then = evidence.loop.walk, before_it.loop.walk
    if not (now and then and all(now) and all(then)):
        return ""
    (passed, used), (passed_before, used_before) = now, then
    dense, before = used / passed, used_before / passed_before
    if abs(dense / before - 1) < MORE - 1:
        return ""
    return (
        f"of the bytes that its pointer to b passes it reads {share(dense)} "
        f"({used:,} of {passed:,} per iteration), {share(before)} before"
    )


def _threads(step: Step, below: Step) -> str:
    ours, theirs = step.measurement, below.measurement
    if ours.threads == theirs.threads:
        return ""
    one, other = _ceiling(ours), _ceiling(theirs)
    if one is None or other is None:
        return f"{ours.threads} threads instead of {theirs.threads}"
    return (
        f"removes the limit of {theirs.threads} core{'s' if theirs.threads > 1 else ''}: "
        f"the peak is {one / other:.2f} times as high on {ours.threads} threads"
    )


def _ceiling(measurement: Measurement) -> float | None:
    rate, fraction = measurement.flop_per_s, measurement.peak_fraction
    return rate / fraction if rate and fraction else None


def _executed(ours: Measurement, theirs: Measurement) -> str:
    """Return the executed share of the definition's FLOPs, if it is smaller than before."""
    now, before = _executed_share(ours), _executed_share(theirs)
    if now * MORE > before:
        return ""
    return f"executes {share(now)} of the definition's FLOPs instead of {share(before)}"


def _executed_share(measurement: Measurement) -> float:
    flops = measurement.flops
    return flops.executed / flops.direct if flops and flops.direct else 1.0


def _left(step: Step, limited_by: str) -> str:
    """Return the limit of the inner loop with its cause, and the reached rate."""
    doubt = step.measurement.doubt
    reached = step.measurement.peak_fraction if doubt is None else None
    got = f"reached: {share(reached)}" if reached is not None else ""
    if doubt is not None:
        got = "its time is in doubt"
    evidence = step.evidence
    if evidence is None or evidence.binding is None:
        return got
    limit = evidence.binding
    near = step.limit is None or step.limit.kind == "peak"
    if limit.share >= NO_LIMIT:
        return got if near or doubt else f"left: {limited_by}; {got}"
    over = ""
    if reached is not None and limit.kind == "chains" and reached > MORE * limit.share:
        over = ", more than its chains allow, because the core starts the next tile early"
    same = step.limit is not None and step.limit.kind == limit.kind
    beyond = "" if near or same or doubt else f"; {limited_by}"
    return f"left: {limit_words(evidence, limit)} ({_at_most(limit)}){beyond}; {got}{over}"
