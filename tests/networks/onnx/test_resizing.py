"""Resize in all modes that are read: against ONNX Runtime, and against the onnx package."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.errors import InputError, ProblemError
from convprof.problems.ops import Resize

IMAGE = (2, 3, 7, 5)
LARGER, SMALLER, MIXED = [1.7, 2.0], [0.5, 0.3], [2.0, 0.4]
WHERE = ["half_pixel", "pytorch_half_pixel", "asymmetric"]


def resize(node, *, sizes=None, scales=None, **attributes):
    """Return a node with sizes or scales, and what it reads."""
    made = node("Resize", "x roi scales sizes", **attributes)
    made.input[1] = ""
    if scales is not None:
        made.input[:] = made.input[:3]
        return made, {"scales": np.array(scales, np.float32)}
    made.input[2] = ""
    return made, {"sizes": np.array(sizes, np.int64)}


@pytest.mark.parametrize("scales", [LARGER, SMALLER, MIXED], ids=str)
@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(
    "attributes",
    [
        {"mode": "cubic"},
        {"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1},
        {"mode": "cubic", "antialias": 1},
        {"mode": "linear", "antialias": 1},
        {"mode": "linear", "antialias": 1, "exclude_outside": 1},
    ],
    ids=str,
)
def test_weighted_pixels(same_as_runtime, node, scales, where, attributes):
    made, known = resize(
        node, scales=[1, 1, *scales], coordinate_transformation_mode=where, **attributes
    )
    network = same_as_runtime([made], IMAGE, known, opset=19)
    assert [each.op.kind for each in network.nodes] == ["resize"]


def test_position_embeddings(same_as_runtime, node):
    made, known = resize(
        node,
        sizes=[2, 3, 11, 9],
        mode="cubic",
        coordinate_transformation_mode="align_corners",
    )
    (only,) = same_as_runtime([made], IMAGE, known).nodes
    assert only.op == Resize(11, 9, (11 / 7, 9 / 5), "align_corners", cubic=-0.75)
    assert only.op.text == "cubic to 11x9"


@pytest.mark.parametrize(
    ("shape", "case", "expected"),
    [
        (IMAGE, {"sizes": [9, 3], "axes": [2, 3]}, (2, 3, 9, 3)),
        (IMAGE, {"sizes": [3, 9], "axes": [3, 2]}, (2, 3, 9, 3)),
        (IMAGE, {"sizes": [3], "axes": [3], "mode": "cubic"}, (2, 3, 7, 3)),
        (IMAGE, {"scales": [2.0, 1.5], "axes": [1, 2]}, (2, 6, 10, 5)),
        ((2, 3, 7), {"scales": [1, 1, 2.5]}, (2, 3, 17)),
        ((2, 3, 7), {"scales": [1, 1, 2.0], "mode": "nearest"}, (2, 3, 14)),
        ((2, 7, 5, 3), {"sizes": [2, 9, 4, 3], "mode": "cubic"}, (2, 9, 4, 3)),
        ((1, 2, 3, 4, 5), {"scales": [1, 1, 2.0, 1.5, 0.5]}, (1, 2, 6, 6, 2)),
        ((6, 8), {"sizes": [3, 12], "mode": "nearest"}, (3, 12)),
        (IMAGE, {"sizes": [9, 9], "axes": [2, 3], "keep_aspect_ratio_policy": "not_larger"},
         (2, 3, 9, 6)),
        (IMAGE, {"sizes": [9, 9], "axes": [2, 3], "keep_aspect_ratio_policy": "not_smaller"},
         (2, 3, 13, 9)),
    ],
)  # fmt: skip
def test_axes_and_proportions(imported, node, shape, case, expected):
    reference = pytest.importorskip("onnx.reference", reason="needs the onnx package")
    made, known = resize(node, **({"mode": "linear"} | case))
    network = (read := imported([made], shape, known, opset=19)).network
    assert not any(each.op.is_opaque for each in network.nodes)
    x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    (y,) = reference.ReferenceEvaluator(str(read.path)).run(None, {"x": x})
    assert network.output == y.shape == expected
    np.testing.assert_allclose(network.reference(x.astype("f8"), {}), y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "attributes",
    [
        {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"},
        {"mode": "linear", "coordinate_transformation_mode": "half_pixel_symmetric"},
        {"mode": "cubic", "antialias": 1, "coordinate_transformation_mode": "align_corners"},
    ],
)
def test_what_stays_opaque(imported, node, attributes):
    made, known = resize(node, scales=[1, 1, 1.7, 1.7], **attributes)
    (only,) = imported([made], IMAGE, known, opset=19).network.nodes
    assert only.op.is_opaque


def test_more_pixels_than_a_result_may_read(imported, node):
    made, known = resize(node, scales=[1, 1, 0.03, 1.0], mode="linear", antialias=1)
    (only,) = imported([made], (1, 1, 100, 5), known, opset=19).network.nodes
    assert only.op.is_opaque
    op = Resize(3, 5, (0.03, 1.0), antialias=True)
    with pytest.raises(ProblemError, match="linear to 3x5 antialiased: more than 64 pixels"):
        op.flops((1, 1, 100, 5))


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_tables_of_too_many_weights(imported, node, mode):
    made, known = resize(node, sizes=[1, 1, 2**26 + 1], mode=mode)
    (only,) = imported([made], (1, 1, 4), known, opset=19).network.nodes
    assert only.op.is_opaque


def test_a_scale_of_channels_that_keeps_their_number(imported, node):
    made, known = resize(node, scales=[1, 1.2, 2, 2], mode="linear")
    reference = pytest.importorskip("onnx.reference", reason="needs the onnx package")
    network = (read := imported([made], (1, 2, 3, 4), known, opset=19)).network
    x = np.random.default_rng(3).standard_normal((1, 2, 3, 4)).astype(np.float32)
    (y,) = reference.ReferenceEvaluator(str(read.path)).run(None, {"x": x})
    np.testing.assert_allclose(network.reference(x.astype("f8"), {}), y, rtol=1e-4, atol=1e-5)


def test_coefficients_that_are_no_numbers(imported, node):
    made, known = resize(node, scales=[1, 1, 2.0, 2.0], mode="cubic", cubic_coeff_a=float("nan"))
    with pytest.raises(InputError, match="the coefficient nan: must be -2 to 2"):
        imported([made], IMAGE, known, opset=19)
