from __future__ import annotations

import numpy as np
import pytest

from convprof.problems import Conv2d
from convprof.strategies.conv.gradients.phases import phases


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("filter_size", [(1, 1), (3, 3), (5, 2), (7, 4)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 2), (3, 1)])
def test_filters_of_a_phase_are_its_taps_with_channels_exchanged(
    groups, filter_size, stride, dilation
):
    r, s = filter_size
    p = Conv2d(c=4, k=6, h=20, w=19, r=r, s=s, stride=stride, dilation=dilation, groups=groups)
    weights = np.arange(np.prod(p.weight_shape)).reshape(p.weight_shape)
    for phase in phases(p):
        found = phase.filters(weights)
        for group in range(groups):
            own = weights[group * p.kg : (group + 1) * p.kg]
            turned = found[group * p.cg : (group + 1) * p.cg]
            for i, tap_r in enumerate(phase.taps[0]):
                for j, tap_s in enumerate(phase.taps[1]):
                    np.testing.assert_array_equal(turned[:, :, i, j], own[:, :, tap_r, tap_s].T)
        assert found.shape == (p.c, p.kg, len(phase.taps[0]), len(phase.taps[1]))
        assert groups > 1 or not found.size or np.shares_memory(found, weights)
