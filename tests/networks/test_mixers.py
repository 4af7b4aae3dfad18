"""What the mixers consist of, against formulas and against counting by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convprof.dtypes import F32
from convprof.errors import ProblemError
from convprof.networks import mixers as module
from convprof.networks.mixers import Grid, default_heads, mixers, overtakes, quadratic_overtakes

VIT_B = Grid(image=224, patch=16, dim=768, heads=12)

grids = st.builds(
    lambda side, patch, heads, per_head, mb: Grid(
        image=side * patch, patch=patch, dim=heads * per_head, heads=heads, mb=mb
    ),
    st.integers(1, 40),
    st.integers(1, 32),
    st.integers(1, 16),
    st.integers(1, 80),
    st.integers(1, 4),
)


def test_vit_b_has_the_published_parameters():
    # Without biases: ViT-B/16's in_proj of 3 * 768 * 768 and out_proj of 768 * 768.
    assert [mixer.parameters for mixer in mixers(VIT_B)] == [
        1_769_472 + 589_824,
        9 * 589_824,
        49 * 768 + 589_824,
    ]


def test_the_parts_have_names_sizes_and_texts():
    attention, conv, separable = mixers(VIT_B)
    assert [(part.name, part.problem.kind) for part in attention.parts] == [
        ("QKV projection", "gemm"),
        ("softmax(QK^T)V", "attention"),
        ("output projection", "gemm"),
    ]
    assert attention.parts[0].problem.descriptor == ('196x768:768x2304n"attention: QKV projection"')
    product = attention.parts[1].problem
    assert (product.batch, product.heads, product.tokens, product.dim) == (1, 12, 196, 64)
    (only,) = conv.parts
    assert only.problem.descriptor == 'mb1ic768ih14oc768oh14kh3ph1n"conv3x3: conv 3x3"'
    depthwise, pointwise = (part.problem for part in separable.parts)
    assert depthwise.is_depthwise
    assert pointwise.is_pointwise
    assert (depthwise.r, depthwise.s, depthwise.pad) == (7, 7, (3, 3))


@given(grids)
def test_flops_and_parameters_equal_the_formulas(grid):
    attention, conv, separable = mixers(grid)
    t, dim, mb = grid.tokens, grid.dim, grid.mb
    assert attention.parameters == 4 * dim**2
    assert attention.linear_flops == mb * 8 * t * dim**2
    assert attention.quadratic_flops == mb * 4 * t**2 * dim
    assert conv.parameters == 9 * dim**2
    assert conv.flops == conv.linear_flops == mb * 18 * t * dim**2
    assert separable.parameters == 49 * dim + dim**2
    assert separable.flops == mb * t * (98 * dim + 2 * dim**2)


@given(grids)
def test_every_mixer_gives_back_as_many_elements_as_it_takes(grid):
    elements = grid.mb * grid.tokens * grid.dim
    for mixer in mixers(grid):
        first, last = mixer.parts[0].problem, mixer.parts[-1].problem
        assert product(first.operands("nhwc", F32)[0].shape) == elements
        assert product(last.result("nhwc", F32).shape) == elements


@given(grids)
def test_where_the_quadratic_part_and_the_block_overtake(grid):
    attention, conv, separable = mixers(grid)
    assert quadratic_overtakes(attention, grid.tokens) == pytest.approx(2 * grid.dim)
    assert overtakes(attention, conv, grid.tokens) == pytest.approx(2.5 * grid.dim)
    room = 98 * grid.dim + 2 * grid.dim**2 - 8 * grid.dim**2
    expected = pytest.approx(room / 4 / grid.dim) if room > 0 else None
    assert overtakes(attention, separable, grid.tokens) == expected


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"image": 225}, "image=225: patches of 16 do not divide it; use 224 or 240, or"),
        ({"image": 5}, "image=5: patches of 16 do not divide it; use 16, or another patch"),
        ({"patch": 0}, "patch=0: must be at least 1"),
        ({"heads": 7}, "heads=7: must divide dim=768"),
        ({"image": 0}, "image=0: must be at least 1"),
        ({"mb": -1}, "mb=-1: must be at least 1"),
        ({"dim": 7.5}, "dim=7.5: must be a whole number"),
        ({"image": 16 * 257}, "66,049 tokens, and attention's work grows with their square"),
        ({"image": 16 * 257}, "use at most 4096 at patches of 16"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes, message):
    with pytest.raises(ProblemError) as caught:
        Grid(**sizes)
    assert message in str(caught.value)


def test_the_largest_grid_is_allowed():
    assert Grid(image=16 * 256).tokens == module.MOST_TOKENS


def test_heads_of_64_channels():
    assert [default_heads(dim) for dim in (64, 384, 768, 1280)] == [1, 6, 12, 20]
    for dim, reason in ((100, "not a multiple of 64"), (0, "must be at"), (-64, "must be at")):
        with pytest.raises(ProblemError, match=f"^dim={dim}: {reason}"):
            default_heads(dim)


def product(shape):
    total = 1
    for size in shape:
        total *= size
    return total
