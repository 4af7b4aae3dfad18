from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convprof.studies.trace.separator import LONGEST_LINE, Separator

ONEDNN = b"onednn_verbose,v1,primitive,exec,cpu,relu,x,y,,,,,1x2,0.5\n"
MKL = b"MKL_VERBOSE SGEMM(N,N,1,2,3,0x1) 4.5us CNR:OFF NThr:1\n"
OLD = b"mkldnn_verbose,exec,reorder,simple:any,undef,in:f32_nchw out:f32_nChw8c,num:1,1x8x2x2,0.1\n"
STAMPED = b"onednn_verbose,1767024000000.125,primitive,exec,cpu,relu,x,y,,,,1x2,0.5\n"
LOGS = [
    STAMPED,
    ONEDNN,
    MKL,
    OLD,
    b"dnnl_verbose,info,DNNL v1.1.0\n",
    b"MKL_VERBOSE oneMKL 2024.0\n",
]


def separated(pieces):
    separator = Separator()
    parts = [separator.feed(piece) for piece in pieces]
    parts.append(separator.end())
    return b"".join(own for own, _ in parts), b"".join(log for _, log in parts)


def in_pieces(data, size):
    return [data[i : i + size] for i in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_lines_in_the_middle_of_the_programs_lines(size):
    data = b"Epoch 1: " + ONEDNN + b"loss 0.5\n" + MKL + OLD + b"\xff\x00one more, onedn\n"
    own, log = separated(in_pieces(data, size))
    assert own == b"Epoch 1: loss 0.5\n\xff\x00one more, onedn\n"
    assert log == ONEDNN + MKL + OLD


OWN = st.sampled_from(
    [b"", b"x", b"a\n", b"o", b"one", b"onednn_verbose", b"dnnl_verbose,", b"MKL_VERBOSE\n", b"MKL",
     b"onednn_verbose, said the program\n", b"mkldnn_verbose,hello\n", b"\r\n", b"\x1b[1m"]
)  # fmt: skip


@settings(max_examples=60)
@given(
    st.lists(st.tuples(OWN, st.sampled_from(LOGS)), max_size=6),
    st.integers(1, 40),
)
def test_nothing_is_lost_whatever_the_pieces(parts, size):
    data = b"".join(own + log for own, log in parts)
    own, log = separated(in_pieces(data, size))
    assert own == b"".join(own for own, _ in parts)
    assert log == b"".join(log for _, log in parts)


def test_a_prompt_is_shown_before_the_program_ends():
    separator = Separator()
    assert separator.feed(b"Your name, o") == (b"Your name, ", b"")
    assert separator.waiting
    assert separator.release() == b"o"
    assert not separator.waiting


def test_a_line_that_is_being_printed_is_not_released():
    separator = Separator()
    assert separator.feed(ONEDNN[:40]) == (b"", b"")
    assert separator.release() == b""
    assert separator.feed(ONEDNN[40:]) == (b"", ONEDNN)


def test_a_line_that_is_cut_at_the_end_belongs_to_the_log():
    assert separated([b"a\n" + ONEDNN[:30]]) == (b"a\n", ONEDNN[:30])


@pytest.mark.parametrize("end", [b"", b"\n", b"\nmore\n"])
def test_what_is_too_long_is_no_line_of_a_library(end):
    data = ONEDNN[:-1] + b"x" * (2 * LONGEST_LINE) + end
    assert separated(in_pieces(data, 4096)) == (data, b"")
