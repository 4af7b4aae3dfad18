from __future__ import annotations

import numpy as np
import pytest

from convprof.errors import InputError, RefusedError
from convprof.studies.show_features import first_layer
from convprof.studies.show_features.picture import Picture
from convprof.studies.show_features.step import Choice
from convprof.studies.show_features.study import Study

PICTURE = Picture("x.png", (12, 9), np.random.default_rng(0).random((3, 9, 12), np.float32))


def test_names_come_before_their_results_and_the_scores_last():
    study = Study(PICTURE, Choice("tiled"), first_layer.built_in())
    seen = []
    for name in study.run():
        assert name not in study.computed
        seen.append(name)
    assert list(study.computed) == seen
    assert seen[-1] == "attention scores"
    assert {step.wrong for step in study.computed.values()} == {False}


def test_every_filter_gives_a_picture_of_the_same_size():
    study = Study(PICTURE, Choice("tiled"), first_layer.built_in())
    list(study.run())
    for name in ("box blur", "Gaussian blur", "Sobel x and y", "Laplacian", "Gabor bank"):
        assert study.output(name).shape[2:] == (9, 12)
    assert study.output("first layer").shape == (1, 16, 5, 6)
    assert study.weights.shape == (study.grid.tokens, study.grid.tokens)


def test_what_cannot_be_is_refused_before_anything_is_computed():
    with pytest.raises(InputError, match="patch=10: the picture is 12x9 here"):
        Study(PICTURE, Choice(), first_layer.built_in(), patch=10)
    with pytest.raises(RefusedError, match="runs on one thread, not 2"):
        Study(PICTURE, Choice("direct", threads=2), first_layer.built_in())
