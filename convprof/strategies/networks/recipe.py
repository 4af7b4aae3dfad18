"""The form of a network that is computed: as written, or folded and fused where possible."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from convprof.networks.fold import fold_weights, folded, folds
from convprof.networks.side_by_side import SideBySide, side_by_side
from convprof.networks.steps import steps
from convprof.problems.exact_results import is_mixed, types_of, with_conversions
from convprof.strategies.networks.file_scales import FileLayers
from convprof.strategies.networks.quantised import (
    ACTIVATION,
    Activations,
    Calibration,
    attended,
    is_quantised,
    layer_dtypes,
    quantisation,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from convprof.networks.steps import Step
    from convprof.problems import NetworkProblem
    from convprof.problems.graph import Network, Weights
    from convprof.problems.network import RealOperands
    from convprof.problems.ops.base import Array
    from convprof.problems.quantisation import ByteWeights, Quantisation
    from convprof.strategies.base import Setting
    from convprof.strategies.networks.quantised import Scales


class Recipe:
    """``inner`` is the network that is computed, and ``steps`` what is computed of it in order.

    Where ``fuse``, batch norms are folded, and layers that read the same value are side by side.
    """

    def __init__(self, network: Network, *, fuse: bool, real: RealOperands | None = None) -> None:
        """``fuse``: folded and fused; else the network as written.

        ``real``: operands whose file may have scales; without them int8 is calibrated.
        """
        self.network = network
        self.fuse = fuse
        known = real.scales if real else None
        inner = with_conversions(folded(network) if fuse else network)
        # A file has a scale for the result of each layer, and layers side by side have one result.
        self._joined = side_by_side(inner) if fuse and known is None else SideBySide(inner)
        self.inner = inner = self._joined.network
        self.steps: list[Step] = steps(inner, fuse=fuse)
        members = frozenset(self._joined.members)
        self._scales: Scales = Activations(inner, members, attended(self.steps))
        self.reasons: Mapping[str, str] = {}
        """By name of a layer that computes in f32 in int8, what the file lacks."""
        if real is not None and known is not None:
            renamed = folds(network) if fuse else {}
            own = self.weights(real.weights)
            of_file = FileLayers(inner, self.steps, known, own, renamed)
            self._scales, self.reasons = of_file, of_file.reasons

    @property
    def weights(self) -> Callable[[Weights], Weights]:
        """The function that converts the network's weights into the weights of the steps."""
        if not self.fuse:
            return lambda weights: weights
        return lambda weights: self._joined.weights(fold_weights(self.network, weights))

    def dtypes(self, setting: Setting) -> list[str]:
        """Return the types of each step; empty for the chain's own."""
        if is_quantised(setting):
            return layer_dtypes(self.steps, self._scales)
        mixed = is_mixed(self.inner, setting.types)
        own = types_of(self.inner, setting.types) if mixed else {}
        return [own.get(step.writes, "") for step in self.steps]

    def calibration(self, dtypes: Sequence[str]) -> Calibration:
        """Return the calibration of a chain whose steps have these types."""
        pairs = zip(self.steps, dtypes, strict=True)
        return Calibration(
            self._scales, tuple(step for step, dtype in pairs if dtype == ACTIVATION)
        )

    def quantisation(
        self, x: Array, weights: Weights, own: Weights, setting: Setting
    ) -> Quantisation:
        """Return what is in bytes for an input in its logical shape, in a setting of int8.

        ``own`` is ``self.weights(weights)``.
        """
        dtypes = self.dtypes(setting)
        calibration = self.calibration(dtypes)
        scales = calibration.scales(x, weights, own)

        def layer(step: Step) -> ByteWeights:
            return calibration.layer(step, own[step.name], scales)

        return quantisation(self.steps, dtypes, layer, scales)


_recipes: weakref.WeakValueDictionary[tuple[NetworkProblem, bool], Recipe]
_recipes = weakref.WeakValueDictionary()
"""The recipes in use: chains and libraries that compute one problem share its calibration."""


def recipe_for(whole: NetworkProblem, *, fuse: bool) -> Recipe:
    """Return the recipe of a problem; the same one while anything uses it."""
    recipe = _recipes.get((whole, fuse))
    if recipe is None:
        recipe = _recipes[whole, fuse] = Recipe(whole.network, fuse=fuse, real=whole.real)
    return recipe
