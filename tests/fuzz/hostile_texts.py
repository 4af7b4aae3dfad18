"""Hostile descriptors, command lines and shape files, and what reads them."""

from __future__ import annotations

import contextlib
import functools
import io
import sys
from typing import TYPE_CHECKING

from hostile_making import NUMBERS, mutated
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = [
    'mb1ic64ih56oc64oh56kh3ph1n"a*3"',
    "g4mb1_ic8oc8_ih9iw7_kh3kw5_sh2sw1_ph1pw2_dh0dw1_eh1ew1nx",
    "ic3id5ih5iw5oc4kd3kh3kw3",
    "512x256:256x128",
    "16x40x64:16x64x40n",
    "attention:1x12x197x64",
    "resnet50:layer1.0.conv2",
]
PIECES = (
    *'gmbicohwkspdenx_:"*0',
    *("mb", "ic", "oc", "ih", "kh", "oh", "ph", "dh", "eh", "iw", "kw", 'n"', "attention:"),
    *("1", "2147483647", "2147483648", "0", "99999999999999999999", "-1", "1" * 400, "\x1b", "é"),
)


SIZES = st.integers(1, 40) | st.sampled_from([0, 56, 224, 4096, 65536, 2**31 - 1])


@st.composite
def plausible(draw: st.DrawFn) -> str:
    """Draw the text of a problem whose sizes need not fit together."""
    if draw(st.integers(0, 3)) == 3:
        m, k, n, batch = (draw(SIZES) for _ in range(4))
        return draw(
            st.sampled_from(
                [
                    f"{m}x{k}:{k}x{n}",
                    f"{batch}x{m}x{k}:{batch}x{k}x{n}",
                    f"{m}x{k}:{k}x{n}:{m}x{n}n",
                    f"attention:{batch}x{m}x{k}x{n}",
                ]
            )
        )
    keys = draw(st.permutations(["ic", "oc", "ih", "kh", *draw(st.sampled_from(AXES))]))
    extra = draw(st.lists(st.sampled_from(["mb", "g", "dh", "sw", "pw", "ow", "ew"]), max_size=2))
    fields = [f"{key}{draw(SIZES)}" for key in dict.fromkeys([*keys, *extra])]
    return draw(st.sampled_from(["", "_"])).join(fields) + draw(
        st.sampled_from(["", "nx", 'n"y*2"'])
    )


AXES = [
    [],
    ["oh"],
    ["ph"],
    ["oh", "ph", "sh"],
    ["iw", "kw"],
    ["iw", "kw", "oh", "ow"],
    ["eh", "ph"],
]


def descriptors() -> st.SearchStrategy[str]:
    """Return texts that look like problems."""
    pieces = tuple(piece.encode() for piece in PIECES)
    return (
        plausible()
        | mutated([text.encode() for text in TEXTS], pieces).map(
            lambda b: b.decode("utf-8", "replace")
        )
        | st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
        | st.text(max_size=40)
    )


def read_descriptor(text: str, folder: Path) -> bool:  # noqa: ARG001
    """Parse, and read the canonical text back."""
    from convprof.problems import parse

    problem = parse(text)
    again = parse(problem.descriptor)
    assert (again, again.name) == (problem, problem.name), "its own text means something else"
    return True


COMMANDS = (
    "run --dry-run",
    "compare layouts --dry-run",
    "compare peers --dry-run",
    "roofline --dry-run",
    "strategies",
    "explain im2col",
    "explain layout",
    "explain tile",
    "explain winograd",
    "network --summary",
)
WRITING = {"json_path", "csv_path", "markdown_path", "plot", "export"}
"""Options that name a file to write."""
WORDS = (
    st.sampled_from(
        [
            "",
            "-",
            "-1",
            "0",
            "1",
            "2",
            "3x3",
            "1x3x8x8",
            "all",
            "nan",
            "inf",
            "1e999",
            "same",
            "naive",
            "nchw",
            "direct",
            "f64",
            "relu",
            ",",
            "\x1b[2J",
            "a\nb",
            "9" * 5000,
            "é" * 300,
            "(",
            ".*",
            "8x8x8",
            "1x1x4x4",
            "lenet5",
            "backward-data",
            "training",
            "/",
            "/dev/null",
            "\udcff",
        ]
    )
    | NUMBERS.map(str)
    | descriptors()
)


FITTING = {
    "--gemm": ["8x8x8"],
    "--attention": ["1x1x4x4"],
    "--input": ["1x4x8x8"],
    "--filters": ["4"],
    "--kernel": ["3"],
    "--stride": ["2", "1x2"],
    "--pad": ["same", "1", "0x1x2x3"],
    "--dilation": ["2"],
    "--groups": ["2"],
    "--mb": ["2"],
    "--match": ["."],
    "--batch": ["/dev/null"],
    "-t": ["1"],
    "--threads": ["1", "all"],
    "--layout": ["nhwc"],
    "--dtype": ["f32", "f64"],
    "--isa": ["native"],
    "--tune": ["off"],
    "--cache": ["hot"],
    "--budget": ["0.1"],
    "--rounds": ["1"],
    "--seed": ["1"],
    "-s": ["tiled"],
    "--strategy": ["tiled", "direct,im2col"],
    "--pass": ["training", "forward"],
    "--epilogue": ["bias,relu"],
    "--color": ["never", "always"],
    "--image": ["64"],
    "--dim": ["N=1"],
    "--tile": ["2", "4"],
}
"""Values that a flag may have, so that what comes after it is read too."""


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """Draw a command with some of its options and values for them, plausible or not."""
    command = draw(st.sampled_from(COMMANDS))
    words = command.split()
    for name, is_flag in draw(st.lists(st.sampled_from(_options(command)), max_size=4)):
        words.append(name)
        if not is_flag:
            fitting = st.sampled_from(FITTING.get(name, [""]))
            words.append(draw(WORDS if draw(st.integers(0, 2)) == 2 else fitting))
    problems = st.sampled_from(TEXTS) | plausible() | WORDS
    return words + draw(st.lists(problems, max_size=1 if command.startswith("e") else 2))


@functools.cache
def _options(words: str) -> list[tuple[str, bool]]:
    """Return the options of a command that write no file, and which take no value."""
    import click

    from convprof.cli import cli

    command: click.Command | None = cli
    context = click.Context(cli)
    for word in words.split():
        if isinstance(command, click.Group) and not word.startswith("-"):
            command = command.get_command(context, word)
    assert command is not None
    return [
        (name, bool(getattr(each, "is_flag", False)))
        for each in command.params
        if isinstance(each, click.Option) and each.name not in WRITING
        for name in each.opts
    ]


def read_flags(words: list[str], folder: Path) -> bool:  # noqa: ARG001
    """Run a command line that measures nothing."""
    from convprof import cli

    out, err = io.StringIO(), io.StringIO()
    stdin, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(b""))
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cli._status(words)
    finally:
        sys.stdin = stdin
    if status == 0:
        return True
    assert status == 2, f"exit code {status}: {err.getvalue()[-300:]}"
    *_, last = err.getvalue().splitlines()
    assert last.startswith("convprof"), f"not an error's line: {last!r}"
    assert last.isprintable(), f"not one printable line: {last!r}"
    return False


LINES = (
    *TEXTS,
    *("--mb=4", "--mb=1,16", "--reset", "--dir=BWD_D,FWD_B", "--dir=x", "--match=.*kh[0-9].*"),
    *(
        "--match=\\(a*\\)*b",
        "--batch=input",
        "--batch=..",
        "--dt=u8:s8:u8",
        "--attr-scales=x",
        "-v1",
    ),
    *(
        "--deconv",
        "--conv",
        "--grouped=0:2:1+1",
        "--nosuch",
        "# comment",
        "\\",
        '"',
        "\r",
        "\0",
        "",
    ),
)


SOUND = (
    *TEXTS[:-1],
    *(
        "--mb=4",
        "--mb=1,16",
        "--mb=2147483647",
        "--reset",
        "--dir=BWD_D,FWD_B",
        "--deconv",
        "--conv",
    ),
    *(
        "--match=.*kh[0-9].*",
        "--match=",
        "--match=\\(a*\\)*b",
        "--grouped=0:2:1+1",
        "--dt=s8",
        "-v1",
    ),
)
"""Lines that are read, though not all computed."""


def batch_files() -> st.SearchStrategy[bytes]:
    """Return shape files."""
    lines = tuple(line.encode() for line in LINES)
    whole = st.lists(st.sampled_from(SOUND) | plausible(), min_size=1, max_size=12)
    text = whole | st.lists(st.sampled_from(LINES) | descriptors(), max_size=12)
    joined = st.tuples(text, st.sampled_from(["\n", " ", "\r\n", "\\\n"])).map(
        lambda drawn: drawn[1].join(drawn[0]).encode("utf-8", "surrogatepass")
    )
    return joined | mutated([b"\n".join(lines)], lines) | st.binary(max_size=60)


def read_batch_file(data: bytes, folder: Path) -> bool:
    """Read a shape file."""
    from convprof.problems import read_batch
    from convprof.studies.selection import select

    path = folder / "input"
    path.write_bytes(data)
    read_batch(path)
    select([], batch=[path], mb=3, match="[0-9]").summary()
    return True
