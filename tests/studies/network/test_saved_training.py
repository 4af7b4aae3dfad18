"""Documents of ``network --pass`` from strangers: one clear reason, whatever is wrong in them."""

from __future__ import annotations

import pytest

from convprof.errors import InputError
from convprof.results import Document, Measurement, Measurements
from convprof.studies.network.saved_training import training

FIELDS = {"network": "a", "input": [1, 3, 8, 8], "pass": "training", "layers": []}
MEASURED = Measurement(
    {"descriptor": "mb1ic4ih8oc4oh6kh3ph0"}, "auto", "nhwc", "f32", 1, "hot", "ok"
)


def document(measurements=(), ceilings=None):
    return Document("1", {}, {}, ceilings or {}, {}, Measurements(measurements))


def test_no_measurements():
    with pytest.raises(InputError, match="there are no measurements in it"):
        training(FIELDS, document())


@pytest.mark.parametrize(
    ("peaks", "said"),
    [
        (3, "a list is missing"), (None, "a list is missing"), ({}, "a list is missing"),
        ([{}] * 5000, "a list is far too long"), ([], "the peak of its type and threads"),
    ],
)  # fmt: skip
def test_damaged_peaks(peaks, said):
    with pytest.raises(InputError, match=said):
        training(FIELDS, document([MEASURED], {"peaks": peaks}))
