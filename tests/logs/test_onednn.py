from __future__ import annotations

import math
from pathlib import Path

import pytest

from convprof.errors import InputError
from convprof.logs.operation import LONGEST_WORD

DATA = Path(__file__).parents[1] / "data" / "logs"
CONV = (
    "cpu,convolution,jit:avx512_core,forward_inference,src:f32::blocked:acdb::f0 "
    "wei:f32::blocked:Acdb64a::f0 dst:f32::blocked:acdb::f0,,alg:convolution_direct,"
    "mb1_ic64oc64_ih56oh56kh3sh1dh0ph1_iw56ow56kw3sw1dw0pw1"
)
STEM = "mb1ic3ih224oc64oh112kh7sh2ph3"
BODY = "mb1ic64ih56oc64oh56kh3ph1"
DEPTHWISE = "g32mb1ic32ih16oc32oh16kh3ph1"


def summary(call):
    operation = call.operation
    problem = operation.problem
    shown = problem.descriptor if problem else operation.text
    return (
        call.event, round(call.seconds, 12), operation.kind, shown, operation.types,
        operation.layout, operation.implementation,
    )  # fmt: skip


def test_every_boundary_of_versions(log):
    calls, _ = log("versions.log")
    assert [summary(call) for call in calls] == [
        ("creation", 5e-4, "convolution", STEM, "f32", "nchw->nChw16c", "jit:avx512_common"),
        ("execution", 1.5e-3, "convolution", STEM, "f32", "nchw->nChw16c", "jit:avx512_common"),
        ("execution", 2.5e-4, "reorder", "1x64x56x56", "f32", "nchw->nChw16c", "jit:uni"),
        ("creation", 5e-4, "convolution", BODY, "f32", "nChw16c", "jit:avx512_common"),
        ("execution", 2e-3, "convolution", BODY, "f32", "nChw16c", "jit:avx512_common"),
        ("execution", 1.25e-4, "matmul", "64x512:512x100", "f32", "ab:ab", "gemm:jit"),
        ("creation", 5e-4, "inner_product", "8x512:512x1000", "f32", "ab:ab", "gemm:jit"),
        ("execution", 1e-3, "inner_product", "8x512:512x1000", "f32", "ab:ab", "gemm:jit"),
        ("cache hit", 1.5625e-5, "convolution backward_data", DEPTHWISE, "bf16", "nhwc",
         "brgconv:avx512_core"),
        ("execution", 3e-3, "convolution backward_data", DEPTHWISE, "bf16", "nhwc",
         "brgconv:avx512_core"),
        ("execution", 5e-4, "matmul", "128x1024:1024x4096", "u8:s8:f32", "ab:BA16a64b4a",
         "brg:avx512_core"),
        ("execution", 5e-4, "matmul", "8x64x32:8x32x64", "f32", "abc:abc", "brg:avx512_core"),
        ("creation", 1.25e-4, "eltwise", "1x64x56x56", "f32", "abcd", "jit:avx512_core"),
        ("execution", 2.5e-4, "eltwise", "1x64x56x56", "f32", "abcd", "jit:avx512_core"),
        ("creation", 5e-4, "convolution", BODY, "f32", "nhwc", "brg_conv_fwd:avx512_core"),
        ("execution", 5e-4, "convolution", BODY, "f32", "nhwc", "brg_conv_fwd:avx512_core"),
        ("execution", 2.5e-4, "convolution", BODY, "f32", "nhwc", "brg_conv_fwd:avx512_core"),
        ("execution", 1.25e-4, "brgemm", "64x64:64x64", "f32", "ab:ab", "brg:avx512_core"),
        ("execution", 1.25e-4, "gemm_api", "64x64:64x32", "f32", "ab:ab", ""),
        ("execution", 5e-4, "reorder", "1x64x56x56", "f32->bf16", "abcd->acdb", "jit:uni"),
        ("execution", 5e-4, "reorder", "1x64x56x56", "f32->bf16", "abcd->acdb", "jit:uni"),
    ]  # fmt: skip


def test_every_line_is_counted_once(log):
    calls, reading = log("versions.log")
    assert (reading.foreign, reading.nested, reading.unread) == (1, 2, 2)
    mixed = 1  # a line that two threads wrote: half of it is lost, the other half is a call
    counted = reading.foreign + reading.messages + reading.nested + reading.unread + len(calls)
    assert counted == reading.lines + mixed


def test_versions_and_threads_of_processes(log):
    _, reading = log("versions.log")
    assert [(process.version, process.threads) for process in reading.processes] == [
        ("0.21.0", None), ("1.1.0", None), ("2.4.0", 4), ("2.5.0", 4), ("3.1.0", None),
        ("3.2.0", None), ("3.3.0", None), ("3.6.0", 8),
    ]  # fmt: skip
    assert reading.threads == 8


def test_a_backward_pass_is_a_gradient(log):
    calls, _ = log("versions.log")
    kinds = {call.operation.problem.kind for call in calls if call.operation.problem}
    assert kinds == {"conv2d", "gemm", "conv2d-backward-data"}


def test_a_log_that_a_library_wrote_is_read_whole(log):
    calls, reading = log("onednn-3.12.log")
    assert (reading.unread, reading.foreign, reading.nested) == (0, 0, 0)
    lines = (DATA / "onednn-3.12.log").read_text().splitlines()
    last = [line.rpartition(",")[2] for line in lines if ",reorder," in line]
    reorders = math.fsum(call.seconds for call in calls if call.operation.is_conversion)
    assert math.isclose(reorders, math.fsum(map(float, last)) / 1000)
    convolutions = [call.operation for call in calls if call.operation.kind == "convolution"]
    assert all(operation.problem is not None for operation in convolutions)


def test_a_shared_matrix_makes_one_product(calls_of):
    line = "onednn_verbose,exec,cpu,matmul,jit,undef,src_f32::blocked:abc:f0,,,{},1\n"
    calls, _ = calls_of(line.format("8x64x32:1x32x100") + line.format("8x64x32:4x32x100"))
    assert [call.operation.problem and call.operation.problem.descriptor for call in calls] == [
        "512x32:32x100",
        None,
    ]


@pytest.mark.parametrize("time", ["nan", "inf", "-1", "1e40", "", "0x1", "1,"])
def test_what_is_no_time_is_not_read(calls_of, time):
    calls, reading = calls_of(
        f"onednn_verbose,v1,primitive,exec,{CONV},1\nonednn_verbose,v1,primitive,exec,{CONV},{time}\n"
    )
    assert (len(calls), reading.unread) == (1, 1)


def test_nothing_in_a_log_can_command_a_terminal(calls_of):
    long = "x" * 1000
    calls, _ = calls_of(
        f"onednn_verbose,exec,cpu,re\x1b[2Jorder,\x07,undef,src_f32::blocked:a:f0,,,{long},1\n"
    )
    operation = calls[0].operation
    assert operation.kind == "re\\x1b[2Jorder"
    assert operation.implementation == "\\x07"
    assert len(operation.text) == LONGEST_WORD


def test_a_primitive_of_another_device_is_no_problem_of_this_one(calls_of):
    calls, _ = calls_of(f"onednn_verbose,v1,primitive,exec,{CONV.replace('cpu', 'gpu:0', 1)},1\n")
    assert calls[0].operation.kind == "gpu convolution"
    assert calls[0].operation.problem is None


def test_a_file_without_times_says_what_to_do(calls_of):
    with pytest.raises(InputError, match=r"no time of an operation .* ONEDNN_VERBOSE=profile"):
        calls_of("onednn_verbose,v1,info,oneDNN v3.6.0 (commit 0123456)\n")
    with pytest.raises(InputError, match=r"no operation was recognised .* MKL_VERBOSE"):
        calls_of("hello\nworld\n")


def test_a_very_long_line_is_one_foreign_line(calls_of):
    calls, reading = calls_of(b"x" * 10_000_000 + f"\nonednn_verbose,exec,{CONV},1\n".encode())
    assert (len(calls), reading.foreign, reading.lines) == (1, 1, 2)
