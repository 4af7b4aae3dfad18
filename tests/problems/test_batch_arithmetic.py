"""Types, scales, bias and post-operations of shape files: computed, or left out with a reason."""

from __future__ import annotations

import pytest

from convprof.errors import DescriptorError
from convprof.problems import read_batch
from convprof.problems.batch_options import EPILOGUE, TYPES, notes

CONV, PRODUCT = "mb1ic8ih5oc8kh3ph1", "4x8:8x6"


@pytest.fixture
def read(tmp_path):
    def of(text, chosen=()):
        path = tmp_path / "shapes"
        path.write_text(text)
        return read_batch(path, chosen)

    return of


def pairs(batch):
    return [(entry.dtype, entry.problem.epilogue.text) for entry in batch.entries]


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--dt=bf16", ["bf16"]),
        ("--dt=f32:f32:f32", ["f32"]),
        ("--dt=bf16:bf16:f32,f64", ["bf16:bf16:f32", "f64"]),
        ("--dt=u8:s8:s32,u8:s8:u8", ["u8:s8:s32", "u8:s8:u8"]),
        ("--dt=s8", ["s8:s8:s8"]),
        ("--cfg=u8s8u8", ["u8:s8:u8"]),
        ("--cfg=bf16bf16f32", ["bf16:bf16:f32"]),
        ("--cfg=f32_wino", ["f32"]),
        ("--dt=bf16 --reset", [""]),
        ("--dt=bf16 --dt=", [""]),
    ],
)
def test_types_of_the_lines_that_follow(read, option, expected):
    batch = read(f"{option}\n{CONV}\n{PRODUCT}\n")
    assert [entry.dtype for entry in batch.entries] == expected * 2
    assert (batch.left_out, batch.answers) == ([], {})


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--dt=u8:s8:bf16", "these types are not computed"),
        ("--dt=f8_e5m2", "these types are not computed"),
        ("--dt=u8", "these types are not computed"),
        ("--attr-scales=src:common:2", "types such as u8:s8:u8 have them, not f32"),
        (
            "--dt=u8:s8:s32 --attr-zero-points=src:common:3",
            "types such as u8:s8:u8 have them, not u8:s8:s32",
        ),
        ("--dt=u8:s8:u8 --attr-scales=src:per_oc", "src has common only"),
        ("--dt=u8:s8:u8 --attr-scales=wei:per_ocic:f16:8x1", "wei has common or per_"),
        ("--dt=u8:s8:u8 --attr-scales=msrc0:common:2", "only src, wei and dst have them"),
        ("--dt=u8:s8:u8 --attr-zero-points=wei:common:1", "weights have no zero point"),
        ("--dt=u8:s8:u8 --attr-zero-points=wei", "weights have no zero point"),
        ("--dt=u8:s8:u8 --attr-zero-points=dst:per_dim_1", "dst has common only"),
        ("--attr-post-ops=relu:0.5", "this step is not computed"),
        ("--attr-post-ops=prelu:per_oc", "this step is not computed"),
        ("--attr-post-ops=dw:k3s1p1", "this step is not computed"),
        ("--attr-post-ops=sum:0.5", "this step is not computed"),
        ("--attr-post-ops=sum:x", "this step is not computed"),
        ("--attr-post-ops=swish", "this step is not computed"),
        ("--attr-post-ops=mul:f32:2", "this step is not computed"),
        ("--attr-post-ops=add:bf16:per_tensor", "this step is not computed"),
        ("--attr-post-ops=relu+sum", "only a bias, a residual and one activation, in this order"),
    ],
)
def test_what_is_not_computed_is_left_out_by_name_and_line(read, option, words):
    batch = read(f"# shapes\n{option}\n{CONV}\n")
    (line,) = batch.left_out
    *_, last = option.split()
    assert line.group == f"under {last.partition('=')[0]}"
    assert f"{last.partition('=')[0]}=" in line.reason
    assert "shapes:2)" in line.reason
    assert words in line.reason
    assert line.reason.startswith(f"'{CONV}': ")
    assert batch.entries == []


def test_scales_and_zero_points_of_bytes(read):
    batch = read(
        "--dt=u8:s8:u8 --attr-scales=src:common:0.25+wei:per_oc+dst:common:2,wei:per_oc\n"
        f"--attr-zero-points=src:common:1+wei:common:0+dst:common:3\n{CONV}\n"
    )
    assert pairs(batch) == [("u8:s8:u8", "")] * 2
    assert notes(batch.answers).startswith("the values are drawn, a scale per channel: --attr-sc")


def test_the_axis_of_the_output_channels_has_another_name_in_a_product(read):
    option = "--dt=u8:s8:u8 --attr-scales=wei:per_dim_{}\n"
    assert len(read(f"{option.format(0)}{CONV}\n{PRODUCT}\n").left_out) == 1
    assert read(f"{option.format(1)}{PRODUCT}\n").left_out == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--attr-post-ops=relu", "relu"),
        ("--attr-post-ops=eltwise_relu:0:0", "relu"),
        ("--attr-post-ops=sum+eltwise_clip:0:6", "add,relu6"),
        ("--attr-post-ops=sum:1:0:f32+logistic", "add,sigmoid"),
        ("--attr-post-ops=binary_add:f32:per_oc+swish:1", "bias,silu"),
        ("--attr-post-ops=add:f32:per_tensor:axb+gelu_erf", "add,gelu"),
        ("--attr-post-ops=gelu_tanh", "gelu_tanh"),
        ("--attr-post-ops=hardswish:0.16667:0.5", "hardswish"),
        ("--attr-post-ops=", ""),
        ("--dir=FWD_B --attr-post-ops=tanh", "bias,tanh"),
        ("--dir=FWD_D", ""),
    ],
)
def test_the_epilogue_of_convolutions(read, options, expected):
    batch = read(f"{options}\n{CONV}\n")
    assert pairs(batch) == [("", expected)]
    assert (batch.left_out, batch.answers) == ([], {})


FEW = "4x256:256x6"
BY_GROUP, BY_COLUMN = "--attr-scales=wei:per_ocic:f16:128x1", "--attr-scales=wei:per_oc:f32"

ZEROS = "--attr-zero-points=wei:per_ocic:s4:128x1"


@pytest.mark.parametrize(
    ("options", "dtype", "weights"),
    [
        (f"--dt=f32:s4:f32 {BY_GROUP}", "f32", ("int4", 128)),
        (f"--dt=bf16:u4:bf16 {BY_GROUP}", "bf16", ("uint4", 128)),
        (f"--dt=f32:s8:f32 {BY_COLUMN}", "f32", ("int8", 256)),
        (
            f"--dt=f32:s4:f32 {BY_GROUP} --attr-zero-points=wei:per_ocic:s4:128x1",
            "f32",
            ("uint4", 128),
        ),
        (f"--dt=f32:u8:f32 {BY_COLUMN} --attr-zero-points=wei:common:7:u8", "f32", ("uint8", 256)),
    ],
)
def test_weights_of_few_bits(read, options, dtype, weights):
    (entry,) = read(f"{options}\n{FEW}\n").entries
    of = entry.problem.grouped_weights
    assert (entry.dtype, (of.dtype, of.group)) == (dtype, weights)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--dt=f32:s4:f32", "need scales of the weights alone, such as wei:per_ocic:f32:128x1"),
        ("--dt=f32:s4:f32 --attr-scales=src:common:2+wei:per_oc", "need scales of the weights"),
        ("--dt=f32:s4:f32 --attr-scales=wei:per_ocic:f32:8x1", "use one of 16, 32, 64, 128, 256"),
        ("--dt=f32:s4:f32 --attr-scales=wei:per_ocic:f32:0x1", "need scales of the weights"),
        (
            f"--dt=f32:s4:f32 {BY_GROUP} --attr-zero-points=wei:per_oc",
            "have the groups of the scales",
        ),
        (f"--dt=f32:s4:f32 {BY_GROUP} --attr-post-ops=relu", "has no bias and no epilogue"),
        (f"--dt=f16:u4:f16 {BY_GROUP}", "these types are not computed"),
    ],
)
def test_other_weights_of_few_bits_are_left_out(read, options, reason):
    (line,) = read(f"{options}\n{FEW}\n").left_out
    assert (line.group, reason in line.reason) == ("under --dt", True), line.reason


@pytest.mark.parametrize(
    ("line", "mask", "expected"),
    [
        (CONV, "2", "bias"),
        (CONV, "15:axb", "add"),
        (PRODUCT, "2:ab", "bias"),
        (PRODUCT, "3:ab", "add"),
        ("2x4x8:2x8x6", "4:abc", "bias"),
        ("2x4x8:2x8x6", "per_dim_2", "bias"),
        ("2x4x8:2x8x6", "7", "add"),
        ("2x4x8:2x8x6", "per_oc", None),
        (PRODUCT, "1:ab", None),
    ],
)
def test_a_mask_says_which_axes_a_second_operand_has(read, line, mask, expected):
    batch = read(f"--attr-post-ops=add:f32:{mask}\n{line}\n")
    assert [text for _, text in pairs(batch)] == ([] if expected is None else [expected])


def test_directions_with_and_without_bias(read):
    batch = read(f"--dir=FWD_B,FWD_D,BWD_D\n{CONV}\n")
    assert pairs(batch) == [("", "bias"), ("", ""), ("", "")]
    batch = read(f"--dir=FWD_B,BWD_W --attr-post-ops=relu\n{CONV}\n")
    assert pairs(batch) == [("", "bias,relu")]
    assert "has no epilogue; its other variants are computed" in batch.left_out[0].reason


def test_the_bias_of_products(read):
    bias = "--bia-dt=undef,f32 --bia_mask=2"
    assert [text for _, text in pairs(read(f"{bias}\n{PRODUCT}\n"))] == ["", "bias"]
    older = bias.replace("bia-dt", "bia_dt")
    assert [text for _, text in pairs(read(f"{older}\n{PRODUCT}\n"))] == ["", "bias"]
    assert pairs(read(f"{bias}\n{CONV}\n")) == [("", "")]
    (line,) = read(f"--bia-dt=f32 --bia_mask=3\n{PRODUCT}\n").left_out
    assert "only a bias per column (mask 2) is computed" in line.reason


def test_attributes_of_older_versions_have_no_effect(read):
    batch = read(f"--attr=oscale=per_oc:2.25\n{CONV}\n")
    assert pairs(batch) == [("", "")]
    assert notes(batch.answers) == "computed without: --attr=oscale=per_oc:2.25"


def test_a_choice_of_the_command_takes_the_place_of_the_file(read):
    text = f"--dt=f8_e5m2 --dir=FWD_B --attr-post-ops=prelu\n{CONV}\n"
    batch = read(text, (TYPES, EPILOGUE))
    assert pairs(batch) == [("", "")]
    assert notes(batch.answers) == (
        "the chosen dtype decides: --dt=f8_e5m2; "
        "the chosen epilogue decides: --dir=FWD_B --attr-post-ops=prelu"
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--dt=f33", "write types such as f32, or u8:s8:u8"),
        ("--dt=u8:s8", "write types such as f32, or u8:s8:u8"),
        ("--cfg=u8x8", "write types such as f32, or u8s8u8"),
        ("--cfg=u8s8", "write types such as f32, or u8:s8:u8"),
        ("--bia-dt=u8:s8:u8", "write types such as f32"),
        (f"--attr-scales={','.join(map(str, range(101)))}", "more than 100 values"),
    ],
)
def test_values_that_benchdnn_does_not_have(read, option, message):
    with pytest.raises(DescriptorError, match=message):
        read(f"{option}\n{CONV}\n")


def test_combinations_are_bounded(read):
    many = ",".join(f"relu:{n}" for n in range(100))
    with pytest.raises(DescriptorError, match="more than 1000 combinations"):
        read(f"--attr-post-ops={many} --attr-scales={many}\n{CONV}\n")
    sizes = ",".join(str(n) for n in range(1, 51))
    few = ",".join(f"relu:{n}" for n in range(10))
    assert len(read(f"--mb={sizes} --attr-post-ops={few}\n{CONV}\n").entries) == 50
    with pytest.raises(DescriptorError, match="more than 1000 combinations"):
        read(f"--mb={sizes} --dir=FWD_D,BWD_D,BWD_W --attr-post-ops={few}\n{CONV}\n")
