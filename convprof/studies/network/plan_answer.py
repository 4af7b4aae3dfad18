"""The answer of ``network NAME --plan``: which chain is the fastest, as measured."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from convprof import units
from convprof.dtypes import COMMON
from convprof.studies.answer import MOST_SENTENCES, Answer
from convprof.studies.network.answer import opaque_sentence
from convprof.studies.network.concurrency import sentence
from convprof.studies.network.planned import AS_WRITTEN, OPTIMAL
from convprof.studies.next_command import again_when_idle, fused, fused_in, planned
from convprof.studies.run_answer import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.network.planned import PlanResult, Standing


def answer(result: PlanResult, command: Sequence[str]) -> Answer | None:
    """Return the answer; None if no chain was measured.

    ``command``: the words that run this network, to which flags can be added.
    """
    optimal, fastest = result.optimal, result.fastest
    if optimal is None:
        return None
    if fastest is None:
        doubt = optimal.doubt
        return Answer(
            (f"No conclusion: the time of the planned chain is in doubt ({doubt}).",),
            again_when_idle(command, "--plan"),
            repeats=True,
        )
    sentences = (
        _first(result, optimal, fastest),
        *(_way(fastest, command) if fastest is not optimal else ()),
        *opaque_sentence([(layer.step, layer.seconds) for layer in result.layers]),
        *([sentence(result.concurrency)] if result.concurrency else []),
        *_conversions(result),
        *_libraries(result),
    )
    return Answer(sentences[:MOST_SENTENCES], _next(result, fastest, command))


def nearest(chain: Standing, command: Sequence[str]) -> str:
    """Return the command that comes nearest to a chain; empty for the plan's own."""
    layout = chain.name.removeprefix("all ")
    return fused_in(command, layout) if layout != chain.name else ""


def prediction_error(chain: Standing) -> float | None:
    """Return the measured time over the predicted time, less 1; None without a prediction."""
    return chain.seconds / chain.predicted_s - 1 if chain.predicted_s else None


def prediction(chain: Standing) -> str:
    """Return ``15 % longer than predicted``; empty without a prediction."""
    error = prediction_error(chain)
    if error is None:
        return ""
    whole = round(100 * error)
    if whole == 0:
        return "as long as predicted, within 1 %"
    return f"{abs(whole)} % {'longer' if whole > 0 else 'less'} than predicted"


def _first(result: PlanResult, optimal: Standing, fastest: Standing) -> str:
    """Return which chain is the fastest, and how good the prediction was."""
    time = units.time(fastest.seconds)
    predicted = f", {prediction(optimal)}" if optimal.predicted_s else ""
    if fastest is optimal:
        return f"The planned chain takes {time}{_gain_over_written(result)}{predicted}."
    ratio = fastest.ratio.value if fastest.ratio else 1.0
    wrong = f", which takes {prediction(optimal)}" if optimal.predicted_s else ""
    return (
        f"The prediction was wrong: the chain '{fastest.name}' takes {time}, "
        f"{100 * (1 - ratio):.0f} % less than the planned chain{wrong}."
    )


def _way(fastest: Standing, command: Sequence[str]) -> tuple[str, ...]:
    """Return how to run a chain that flags describe, or nearly describe."""
    if fastest.name == AS_WRITTEN:
        return ("The network as written needs no flags.",)
    near = nearest(fastest, command)
    return (f"Nearest to it is {near}; the table has its layers.",) if near else ()


def _gain_over_written(result: PlanResult) -> str:
    """Return how much faster the plan is than the network as written, if that was decided."""
    for chain in result.chains:
        if chain.name == AS_WRITTEN and chain.clearly_slower and chain.ratio is not None:
            return f", {chain.ratio.value:.2f} times as fast as the network as written"
    return ""


def _conversions(result: PlanResult) -> tuple[str, ...]:
    """Return the conversions' share of the time, and whether the chains show that they paid."""
    count = len(result.planned_layouts)
    several = f"{count} conversions" if count > 1 else "1 conversion"
    if result.fastest is not result.optimal:
        return ()
    if not count:
        return ("It needs no conversion of layout.",)
    share = result.conversions_share
    time = "" if share is None else f", {percent(share)} of its time,"
    rival = next((chain for chain in result.uniform if not chain.clearly_slower), None)
    if result.uniform and rival is None:
        return (f"Its {several} of layout{time} paid: either layout throughout is slower.",)
    return (f"That its {several} of layout{time} paid was not confirmed{_reason(rival)}.",)


def _reason(rival: Standing | None) -> str:
    """Return why a chain with one layout throughout is not known to be slower."""
    if rival is None:
        return ": no chain with one layout throughout was measured"
    if rival.doubt is not None:
        return f": the time of '{rival.name}' is in doubt"
    if rival.ratio is not None and rival.ratio.verdict == "same":
        return f": '{rival.name}' is as fast"
    return f": the intervals do not separate '{rival.name}' from it"


def _libraries(result: PlanResult) -> tuple[str, ...]:
    """Return how the fastest library compares with the planned chain."""
    clear = [each for each in result.libraries if each.doubt is None and each.ratio is not None]
    if not clear:
        return ()
    best = min(clear, key=lambda each: each.seconds)
    ratio = best.ratio.value if best.ratio else 1.0
    return (f"{best.name} takes {ratio:.2f} times as long as the chain '{OPTIMAL}'.",)


def _next(result: PlanResult, fastest: Standing, command: Sequence[str]) -> str:
    """Return the command that runs another chain layer by layer, or compares the plan."""
    if fastest is not result.optimal:
        again = shlex.join(command) if fastest.name == AS_WRITTEN else planned(command)
        return nearest(fastest, command) or again
    if not result.libraries and result.options.dtype in COMMON:
        return planned(command, "onnxruntime")
    return fused(command)
