from __future__ import annotations

import numpy as np
import pytest

from convprof.studies.show_features import first_layer
from convprof.studies.show_features import panels as shown
from convprof.studies.show_features.picture import Picture
from convprof.studies.show_features.step import Choice
from convprof.studies.show_features.study import Study


def studied(rgb, strategy="direct", bank=None):
    made = Picture("x.png", rgb.shape[:0:-1], np.float32(rgb))
    study = Study(made, Choice(strategy), bank or first_layer.built_in())
    assert list(study.run()) == list(study.computed)
    return study, {
        panel.title: panel for section in shown.sections(study) for panel in section.panels
    }


@pytest.fixture(scope="module")
def ramp():
    across = np.broadcast_to(np.linspace(0, 1, 21), (20, 21))
    return studied(np.stack([across] * 3))


def test_a_ramp_has_one_slope_and_no_curvature(ramp):
    _, panels = ramp
    inside = (slice(1, -1), slice(1, -1))
    assert panels["Sobel x"].values[inside] == pytest.approx(0.05, abs=1e-6)
    assert panels["Sobel y"].values == pytest.approx(0, abs=1e-6)
    assert panels["gradient magnitude"].values[inside] == pytest.approx(0.05, abs=1e-6)
    assert panels["Laplacian"].values[inside] == pytest.approx(0, abs=1e-6)


def test_the_border_makes_no_edge(ramp):
    _, panels = ramp
    across = panels["its brightness"].values
    assert panels["Sobel y"].values[0] == pytest.approx(0, abs=1e-6)
    assert panels["Gaussian blur 9x9"].values[:, 4:-4] == pytest.approx(across[:, 4:-4], abs=1e-6)


def test_every_panel_has_the_size_of_what_it_shows(ramp):
    study, panels = ramp
    whole = [panel.values.shape for panel in panels.values()][:12]
    assert {shape[:2] for shape in whole} == {(20, 21)}
    assert panels["red blob"].values.shape == (5, 6)
    assert len(shown.sections(study)[3].panels) == 16
    assert panels["1: the centre"].values.shape == (20, 20)
    assert panels["1: the centre"].heat.shape == (4, 4)


def test_signed_scales_are_symmetric_and_never_empty():
    _, panels = studied(np.full((3, 8, 8), 0.5))
    assert panels["Sobel x"].signed
    assert panels["Laplacian"].signed
    assert not panels["gradient magnitude"].signed
    assert all(panel.limit > 0 for panel in panels.values())


def test_attention_sums_to_one_and_only_others_set_the_scale():
    rgb = np.random.default_rng(0).random((3, 24, 24))
    study, panels = studied(rgb)
    assert study.weights.sum(axis=1) == pytest.approx(1, rel=1e-5)
    panel = panels["1: the centre"]
    centre = study.queries[0].token
    assert panel.limit == pytest.approx(np.delete(study.weights[centre], centre).max())
    assert panel.frames[0].x == centre % 4 * 6


def test_refusals_are_said_where_the_panel_is():
    rgb = np.random.default_rng(0).random((3, 12, 12))
    study, panels = studied(rgb, "winograd")
    assert (
        "winograd needs a filter of at most 4 times the stride; got 9x9"
        in panels["box blur 9x9"].note
    )
    assert panels["Sobel x"].note == ""
    captions = {section.title.split(":")[0]: section.caption for section in shown.sections(study)}
    assert "Computed by direct: winograd needs" in captions["A Gabor bank"]
    assert "Computed by direct" not in captions["A first layer"]  # 7x7 stride 2: in phases


def test_filters_of_ones_own_are_named_and_counted():
    bank = first_layer.Bank("dir/w.npy", tuple(f"filter {k}" for k in range(20)), np.ones((20, 3, 1, 1), np.float32))  # noqa: E501  # fmt: skip
    study, panels = studied(np.full((3, 8, 8), 0.9), bank=bank)
    section = shown.sections(study)[3]
    assert section.title == (
        "A first layer: 20 filters of w.npy, the first 16 shown, 1x1 stride 2, ReLU"
    )
    assert "Krizhevsky" not in section.caption
    expected = first_layer.normalised(np.float32(np.full((3, 1, 1), 0.9))).sum()
    assert panels["filter 15"].values == pytest.approx(expected, rel=1e-5)
