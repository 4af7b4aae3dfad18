"""What ``strategies`` prints, to the letter."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from convprof.render.strategies import absent_report, listing_report
from convprof.studies.strategies import Absent, Entry, Listing

LISTING = Listing(
    "conv2d",
    (
        Entry("direct", "runs on one thread, not 2", takes=False),
        Entry("auto", "microkernel or winograd, timed", takes=True, but="not in nhwc: no nhwc"),
    ),
    (Absent("torch", "torch", "peers"), Absent("openvino", "openvino", "peers")),
    2,
)  # fmt: skip
NARROW = """\
conv2d
  auto    takes it  microkernel or winograd, timed; not in
                    nhwc: no nhwc
  direct  refuses   runs on one thread, not 2
not installed: torch, openvino: pip install
               'convprof[peers]'
"""
WHOLE = """\
conv2d
  auto    takes it  microkernel or winograd, timed; not in nhwc: no nhwc
  direct  refuses   runs on one thread, not 2
not installed: torch, openvino: pip install 'convprof[peers]'
"""


@pytest.mark.parametrize(
    ("terminal", "width", "expected"),
    [(True, 60, NARROW), (True, 140, WHOLE), (False, 60, WHOLE)],
)
def test_lines_hang_in_a_terminal_and_are_whole_in_a_pipe(terminal, width, expected):
    text = io.StringIO()
    console = Console(file=text, width=width, force_terminal=terminal, color_system=None)
    listing_report(console, LISTING)
    absent_report(console, [LISTING, LISTING])
    assert text.getvalue() == expected


def test_one_command_installs_packages_of_several_extras():
    text = io.StringIO()
    absent = Absent("torch", "torch", "peers"), Absent("jax-a", "jax", "jax")
    listing = Listing("gemm", (), (*absent, Absent("jax-b", "jax", "jax")), 0)
    absent_report(Console(file=text), [listing])
    expected = "not installed: torch, jax (2 strategies): pip install 'convprof[peers,jax]'\n"
    assert text.getvalue() == expected
