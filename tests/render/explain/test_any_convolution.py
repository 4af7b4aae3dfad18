"""The pages about a layer and its gradients, of any convolution."""

from __future__ import annotations

import io

import pytest
from drawn_convolutions import convolutions
from hypothesis import given, settings
from rich.cells import cell_len
from rich.console import Console

from convprof.render.explain import backward as backward_view
from convprof.render.explain import conv as conv_view
from convprof.studies.explain import backward, conv


@pytest.mark.parametrize(
    ("study", "view"), [(conv.conv, conv_view), (backward.backward, backward_view)]
)
@given(p=convolutions())
@settings(max_examples=8, deadline=None)
def test_the_page_fits_and_its_check_holds(study, view, p):
    text = io.StringIO()
    view.show(Console(file=text, width=80, highlight=False), study(p, 0))
    lines = text.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert all(line == line.rstrip() for line in lines)
    (check,) = [at for at, line in enumerate(lines) if line.startswith("checked: ")]
    assert "direct" in " ".join(lines[check:])
    assert "relative difference" not in " ".join(lines[check:])  # equal, to the last bit
