from __future__ import annotations

import math

ADDRESS = "0x7ffd0a10"


def test_a_product_of_rows_is_printed_as_one_of_columns(calls_of):
    calls, reading = calls_of(
        "MKL_VERBOSE oneMKL 2024.0 Update 2 Product build 20240605 for Intel(R) 64 architecture\n"
        f"MKL_VERBOSE SGEMM(T,N,1000,64,512,{ADDRESS},{ADDRESS},512,{ADDRESS},512,{ADDRESS},"
        f"{ADDRESS},1000) 41.32us CNR:OFF Dyn:1 FastMM:1 TID:0  NThr:2\n"
    )
    (call,) = calls
    assert call.operation.problem.descriptor == "64x512:512x1000"
    assert (call.operation.types, call.operation.layout) == ("f32", "ab:ba")
    assert math.isclose(call.seconds, 41.32e-6)
    assert [(p.version, p.threads) for p in reading.processes] == [("2024.0 Update 2", 2)]


def test_types_units_and_batches(calls_of):
    arguments = f"N,N,4,3,2,{ADDRESS},{ADDRESS},4,8,{ADDRESS},2,6,{ADDRESS},{ADDRESS},4,12,5"
    calls, reading = calls_of(
        f"MKL_VERBOSE DGEMM(N,N,4,3,2,{ADDRESS},1,4) 2ms WDiv:HOST:+0.000\n"
        f"MKL_VERBOSE SGEMM_BATCH_STRIDED({arguments}) 3ns CNR:OFF\n"
        f"MKL_VERBOSE gemm_bf16bf16f32(N,N,4,3,2,{ADDRESS},4) 1s NThr:1\n"
        f"MKL_VERBOSE SGEMM_BATCH(N,N,{ADDRESS},{ADDRESS}) 1s NThr:1\n"
        f"MKL_VERBOSE ZGEMM(N,N,4,3,2,{ADDRESS}) 1s NThr:1\n"
        "MKL_VERBOSE SGEMM(N,N,4,3,2,0x12\n"
    )
    assert [
        (
            c.operation.types,
            c.operation.problem and c.operation.problem.descriptor,
            round(c.seconds, 12),
        )
        for c in calls
    ] == [
        ("f64", "3x2:2x4", 2e-3),
        ("f32", "5x3x2:5x2x4", 3e-9),
        ("bf16:bf16:f32", "3x2:2x4", 1.0),
        ("", None, 1.0),
        ("", None, 1.0),
    ]
    assert reading.unread == 1


def test_a_log_that_the_library_wrote_is_read_whole(log):
    calls, reading = log("mkl-2024.log")
    assert (len(calls), reading.messages, reading.unread, reading.foreign) == (12, 1, 0, 0)
    assert {call.operation.kind for call in calls} == {"SGEMM", "SGEMM_BATCH"}
