"""The error of a network's result on real weights: of chains, of Winograd, of ONNX Runtime."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.errors import ConvprofError
from convprof.measure.operands import NetworkOperands, max_rel_error
from convprof.problems.tensors import relative_error
from convprof.strategies.networks.choice import AUTO, layer_choices
from convprof.strategies.networks.strategy import Chained
from convprof.strategies.peers.package import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.networks.onnx import Imported
    from convprof.problems import NetworkProblem
    from convprof.results import Measurement
    from convprof.strategies.networks.recipe import Recipe
    from convprof.studies.network.options import Options

    Array = np.ndarray[Any, Any]

WINOGRAD = "winograd"
RUNTIME = "ONNX Runtime on the file"
CHAIN_AGAINST = "chain against"
ROUNDING = "the file's bytes against real numbers"


@dataclass(frozen=True, slots=True)
class Accuracy:
    """max|y - y64| / max|y64| of one way to compute the network."""

    name: str
    max_rel_error: float

    def to_json(self) -> dict[str, Any]:
        """Return the fields for the document."""
        return asdict(self)


def accuracies(
    whole: NetworkProblem,
    recipe: Recipe,
    options: Options,
    chain: Measurement | None,
    own: Array | None = None,
) -> list[Accuracy]:
    """Return the errors of the chain, of Winograd's algorithm wherever possible, of other programs.

    ``own``: the chain's result in its logical shape, to be compared with the results of the
    others: two programs that compute in the same bytes differ less from each other than from the
    float64 result. Empty without real weights.
    """
    if whole.real is None:
        return []
    errors = [_possible(lambda: _winograd(whole, recipe, options))]
    if chain is not None and chain.max_rel_error is not None:
        errors.insert(0, Accuracy(chain.strategy, chain.max_rel_error))
    real = whole.real
    expected = real.expected(options.setting.types)
    if expected is not real.reference:
        errors.append(Accuracy(ROUNDING, relative_error(expected, real.reference)))
    for name, y in real.others.items():
        errors.append(Accuracy(name, relative_error(y, expected)))
        if own is not None:
            errors.append(Accuracy(f"{CHAIN_AGAINST} {name}", relative_error(own, y)))
    return [each for each in errors if each is not None]


def _possible(compute: Callable[[], Accuracy | None]) -> Accuracy | None:
    """Return an error, or None where it cannot be computed: the measured times are kept."""
    try:
        return compute()
    except (ConvprofError, MemoryError):
        return None


def _winograd(whole: NetworkProblem, recipe: Recipe, options: Options) -> Accuracy | None:
    """Return the error with Winograd in every layer that it takes; None if it takes no layer."""
    setting = options.setting
    choices = layer_choices(recipe, (WINOGRAD, AUTO), setting, options.layout)
    layers = sum(choice.strategy.startswith(WINOGRAD) for choice in choices)
    if not layers:
        return None
    operands = NetworkOperands(whole, setting.types, 0)
    prepared = Chained(WINOGRAD, recipe, choices).prepare(whole, setting)
    try:
        prepared.bind(*operands.all(setting.layout))
        prepared.run()
        error = max_rel_error(operands, prepared.output(), setting.layout)
    finally:
        prepared.close()
    return Accuracy(f"Winograd in {layers} layer{'s' if layers > 1 else ''}", error)


_TYPES: dict[str, Any] = {
    "tensor(bool)": np.bool_,
    "tensor(double)": np.float64,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}
"""By ONNX Runtime's word for the type of an input."""


def runtime_result(imported: Imported, x: Array) -> Array | None:
    """Return ONNX Runtime's result of the file itself; None where it cannot run the file.

    The reference is of the network that was read from the file: a large error means that the file
    was read wrongly.
    """
    from convprof.strategies.peers.onnx_nodes import session

    try:
        library = load("onnxruntime")
        loaded = session(library, str(imported.path), 1)
        names = [*imported.outputs.shapes]
        types = {each.name: _TYPES[each.type] for each in loaded.get_inputs()}
        arrays = imported.inputs.split(x).items()
        results = loaded.run(names, {name: array.astype(types[name]) for name, array in arrays})
        joined = imported.outputs.join(dict(zip(names, results, strict=True)))
    except Exception:  # noqa: BLE001  # the library has errors of its own, and refuses types
        return None
    return np.asarray(joined, np.float64)
