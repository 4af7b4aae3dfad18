"""Hostile inputs of every kind that convprof reads, and what counts as right.

Right is an answer, or an InputError whose message is one printable line; within ``LONGEST_S`` of
processor time and ``MOST_BYTES`` of further memory. ``test_fuzz.py`` tries a few hundred inputs of
each reader, ``tests/benchmarks/fuzz.py`` as many as it is told to.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import signal
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST_S = 5.0
MOST_BYTES = 1 << 30
ACCEPTED, REFUSED = "accepted", "refused"


class TooSlowError(BaseException):
    """Raised in the middle of a reader; no ``except Exception`` takes it for a broken file."""


@dataclass(frozen=True)
class Reader:
    """Something that reads what strangers may have written."""

    name: str
    inputs: Callable[[], st.SearchStrategy[Any]]
    read: Callable[[Any, Path], bool]
    """Read an input, which may be written to a folder; whether it was accepted."""
    needs: str | None = None
    """A package without which there is nothing to try."""


def judge(reader: Reader, value: Any, folder: Path) -> str:
    """Return what became of an input; anything but an answer or a clear refusal is raised."""
    with warnings.catch_warnings(), within_bounds():
        warnings.simplefilter("ignore")
        try:
            accepted = reader.read(value, folder)
        except InputError as error:
            message = str(error)
            assert message, "an empty message"
            assert message.isprintable(), f"not one printable line: {message!r}"
            return REFUSED
    return ACCEPTED if accepted else REFUSED


@contextlib.contextmanager
def within_bounds() -> Iterator[None]:
    """Stop what takes too long or too much memory, where the system can."""
    with _limited_time(), _limited_memory():
        yield


@contextlib.contextmanager
def _limited_time() -> Iterator[None]:
    if not hasattr(signal, "SIGVTALRM"):
        yield
        return

    def stop(*_: object) -> None:
        raise TooSlowError(f"more than {LONGEST_S:g} s")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@contextlib.contextmanager
def _limited_memory() -> Iterator[None]:
    if sys.platform != "linux":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    now = int(pages) * resource.getpagesize()
    most = now + MOST_BYTES
    for limit in (soft, hard):
        most = most if limit == resource.RLIM_INFINITY else min(most, limit)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


# --- how hostile things are made ------------------------------------------------------------------

NUMBERS = st.sampled_from(
    [0, 1, -1, 2, 7, 255, 256, 65535, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, -(2**63), 10**30]
) | st.integers(-3, 70)
SCALARS: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | NUMBERS
    | st.floats()
    | st.sampled_from(["", "x", "f32", "\x1b[2J", "a\nb", "9" * 500, "\ud800", "nan", "1e999"])
    | st.text(max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=8,
)
DEEP = st.integers(1, 60_000).map(lambda depth: b"[" * depth)


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes], tokens: tuple[bytes, ...] = ()) -> bytes:
    """Draw one of the seeds with up to six places changed."""
    data = bytearray(draw(st.sampled_from(seeds)))
    pieces = st.binary(max_size=8) | st.sampled_from(
        [b"\0" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x80\x80\x80\x80\x08", b"\n", *tokens]
    )
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3, 6, 0]))):
        at = draw(st.integers(0, len(data)))
        # The first bytes decide what a file is, and how large it says it is.
        at = at % 64 if draw(st.booleans()) else at
        length = draw(st.sampled_from([1, 1, 2, 4, 8, 0, 0, 10_000]))
        piece = draw(pieces)
        # As a disk changes bytes, or as a program changes sizes.
        data[at : at + length] = piece[:length] if draw(st.booleans()) else piece
    if draw(st.integers(0, 9)) == 9:
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


@st.composite
def edited_json(draw: st.DrawFn, document: Any) -> bytes:
    """Draw the document with up to three values replaced, removed or added; seldom broken text."""
    changed = json.loads(json.dumps(document))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3, 0]))):
        place = changed
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            inner = place[key]
            if not isinstance(inner, dict | list) or not inner or draw(st.integers(0, 3)) == 0:
                place[key] = draw(VALUES)
                break
            place = inner
    return json.dumps(changed).encode("utf-8", "surrogatepass")


def documents(document: Any) -> st.SearchStrategy[bytes]:
    """Return JSON documents like this one, most of them still JSON."""
    whole = json.dumps(document).encode()
    tokens = (b"NaN", b"Infinity", b"-0", b"1e999", b'"', b"{", b"null", b"9" * 5000)
    broken = (
        mutated([whole], tokens)
        | VALUES.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))
        | DEEP
    )
    return st.integers(0, 3).flatmap(lambda kind: broken if kind == 3 else edited_json(document))


# --- descriptors, flags, batch files --------------------------------------------------------------

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


# --- documents, stores, journals ------------------------------------------------------------------

PEAK = {
    "dtype": "f32",
    "threads": 2,
    "flop_per_s": 1e11,
    "bits": 256,
    "isa": "avx2",
    "core_hz": 2e9,
}
BANDWIDTH = {"level": "L1", "operation": "load", "threads": 2, "bytes_per_s": 1e11}
MEASURED = {
    "problem": {"kind": "gemm", "descriptor": "8x8:8x8", "name": None, "m": 8},
    "strategy": "tiled", "layout": None, "dtype": "f32", "threads": 2, "cache": "hot",
    "status": "ok", "reason": None,
    "time_s": {"median": 1e-6, "mad": 1e-8, "ci95_low": 1e-6, "ci95_high": 2e-6},
    "flops": {"direct": 1024, "executed": 1024}, "flop_per_s": 1e9, "peak_fraction": 0.01,
    "bytes_min": 768, "bytes_moved": 900, "workspace_bytes": None,
}  # fmt: skip
DOCUMENT = {
    "schema_version": 1,
    "machine": {
        "key": "0123456789ab",
        "brand": "Example",
        "caches": [
            {"level": 1, "kind": "data", "size_bytes": 32768, "shared_by": 1, "instances": 2}
        ],
    },
    "ceilings": {"peaks": [PEAK], "isa_peaks": [PEAK], "bandwidths": [BANDWIDTH]},
    "settings": {"isa": "avx2"},
    "measurements": [MEASURED, {"status": "refused"}],
}


def results() -> st.SearchStrategy[bytes]:
    """Return result documents."""
    from convprof.results import SCHEMA_VERSION

    return documents({**DOCUMENT, "schema_version": SCHEMA_VERSION})


def read_results(data: bytes, folder: Path) -> bool:
    """Read a result document, and place its measurements under the roofs that it brings."""
    from convprof.studies import roofline, saved

    path = folder / "r.json"
    path.write_bytes(data)
    file = saved.read(str(path))
    roofline.groups(file)
    roofline.lacking(file)
    roofline.rooflines(file)
    return True


@contextlib.contextmanager
def _cache_in(folder: Path) -> Iterator[None]:
    from unittest import mock

    from convprof.cache_folder import VARIABLE

    with mock.patch.dict("os.environ", {VARIABLE: str(folder)}):
        yield


def kept_ceilings() -> st.SearchStrategy[bytes]:
    """Return files of kept ceilings."""
    from convprof.machine import kept

    ceilings = {"threads": 2, "measured_at": 1.7e9, "peaks": [PEAK], "bandwidths": [BANDWIDTH]}
    return documents({"format": kept.FORMAT, "machine": "here", "sets": [ceilings]})


def read_ceilings(data: bytes, folder: Path) -> bool:
    """Recall ceilings."""
    from convprof.machine import kept

    with _cache_in(folder):
        kept._path("here").write_bytes(data)
        found = kept.recall("here")
    for threads, ceilings in found.items():
        assert ceilings.threads == threads
        ceilings.roof("L1")
    return bool(found)


KEY = {"version": "1", "problem": {"kind": "gemm", "m": 8}, "threads": 1}
CHOICE = {"strategy": "packed", "variant": {"mc": 8, "nc": 16}}


def choices() -> st.SearchStrategy[bytes]:
    """Return files of a remembered choice."""
    return documents({"key": KEY, "choice": CHOICE})


def read_choice(data: bytes, folder: Path) -> bool:
    """Recall a choice, and look for it among the candidates."""
    from convprof import choice_store
    from convprof.strategies import registry
    from convprof.strategies.tuning import auto

    with _cache_in(folder):
        choice_store._path(auto.CHOICES, KEY).write_bytes(data)
        choice = choice_store.recall(auto.CHOICES, KEY)
    packed: Any = registry.find("gemm", "packed")
    known = auto._known(choice, [(packed, CHOICE["variant"])])
    return known is not None


@functools.cache
def _plan() -> Any:
    from convprof.measure.session import Settings
    from convprof.problems import Gemm
    from convprof.studies.run import Choice
    from convprof.studies.sweep_plan import Plan

    choice = Choice(strategies=("tiled",), layouts=("nchw",))
    return Plan(Gemm(m=8, n=8, k=8), "size", (8, 16, 32), choice, Settings())


@functools.cache
def _journal_lines() -> list[Any]:
    from convprof.results import plain
    from convprof.studies.sweep_plan import KIND

    plan = _plan()
    identity = plain(plan.identity())
    header = {
        "schema_version": identity["schema_version"],
        "kind": KIND,
        "tool_version": identity["tool_version"],
        "started": "2026-01-01T00:00:00+00:00",
        "machine": {**identity["machine"], "caches": DOCUMENT["machine"]["caches"]},  # type: ignore[index]
        "ceilings": {"peaks": [PEAK], "isa_peaks": None, "bandwidths": []},
        "sweep": {**identity["sweep"], "meaning": plan.meaning},
        "settings": {**identity["settings"], "argv": ["sweep"]},
    }
    points = [
        {"index": index, "x": x, "state": {}, "measurements": [MEASURED]}
        for index, x in enumerate(plan.values[:2])
    ]
    return [header, *points]


@st.composite
def journals(draw: st.DrawFn) -> bytes:
    """Draw a journal with a line or two changed; its end is seldom there."""
    lines = _journal_lines()
    whole = [json.dumps(line).encode() for line in lines]
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(lines) - 1))
        whole[at] = draw(edited_json(lines[at]) | documents(lines[at]))
    data = b"".join(line + b"\n" for line in whole)
    return draw(st.just(data) | mutated([data]))


def read_journal(data: bytes, folder: Path) -> bool:
    """Continue a sweep, and show what is there."""
    from convprof.cli.sweeping import Sweeping
    from convprof.studies import sweep_plan
    from convprof.studies.journal import Journal
    from convprof.studies.sweep import Sweep

    path = folder / "points.jsonl"
    path.write_bytes(data)
    plan = _plan()
    with Journal(str(path), sweep_plan.KIND) as journal:
        if journal.header is None:
            return False
        sweep_plan.check_same(journal, plan)
        study = Sweep(plan, journal)
        if study.done:
            out = io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                flags = {"plot": None, "json_path": str(path), "quiet": True, "color": "never"}
                Sweeping(plan, journal, flags)._show(study)
    return True


# --- pictures, weights, ONNX files ----------------------------------------------------------------


@functools.cache
def _pictures() -> list[bytes]:
    from PIL import Image

    picture = Image.new("RGB", (9, 5), "red")
    found = []
    for kind, mode in (
        *(("PNG", "RGB"), ("PNG", "P"), ("PNG", "LA"), ("PNG", "I;16"), ("JPEG", "RGB")),
        *(("BMP", "RGB"), ("GIF", "P"), ("TIFF", "RGB"), ("TIFF", "F"), ("PPM", "RGB")),
    ):
        file = io.BytesIO()
        made = picture.convert("I").convert(mode) if mode == "I;16" else picture.convert(mode)
        made.save(file, kind)
        found.append(file.getvalue())
    return found


def pictures() -> st.SearchStrategy[bytes]:
    """Return pictures."""
    sizes = (
        b"\x00\x00\xff\xff",
        b"\x7f\xff\xff\xff",
        b"9999999999",
        b"IDAT",
        b"eXIf",
        b"P6 99999 9 255 ",
    )
    return mutated(_pictures(), sizes) | st.binary(max_size=40)


def read_picture(data: bytes, folder: Path) -> bool:
    """Read a picture."""
    from convprof.studies.features import picture

    path = folder / "picture"
    path.write_bytes(data)
    found = picture.read(str(path), 64)
    assert found.rgb.shape[0] == 3
    assert max(found.rgb.shape[1:]) <= 64
    return True


def weights() -> st.SearchStrategy[bytes]:
    """Return .npy files."""
    import numpy as np

    seeds = []
    for array in (
        np.ones((2, 3, 5, 5), np.float32),
        np.ones((1, 3, 3, 3), np.float64),
        np.asfortranarray(np.ones((2, 3, 3, 3), np.float16)),
    ):
        file = io.BytesIO()
        np.save(file, array)
        seeds.append(file.getvalue())
    tokens = (b"'<f8'", b"'|O'", b"99999999", b"True", b"(", b"((((", b"'descr'", b"**9**9**9")
    return mutated(seeds, tokens) | st.binary(max_size=40)


def read_weights(data: bytes, folder: Path) -> bool:
    """Read the filters of a first layer."""
    from convprof.studies.features import first_layer

    path = folder / "w.npy"
    path.write_bytes(data)
    first_layer.read(str(path)).problem(64, 64)
    return True


@functools.cache
def _models() -> list[bytes]:
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    node = helper.make_node

    def model(nodes: list[Any], shape: list[Any], tensors: dict[str, Any]) -> bytes:
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(np.asarray(value), key) for key, value in tensors.items()],
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        data: bytes = made.SerializeToString()
        return data

    def ones(*shape: int) -> Any:
        return np.ones(shape, np.float32)

    image = [
        node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2], group=1),
        node("BatchNormalization", ["a", "s", "s", "s", "v"], ["b"], epsilon=1e-5),
        node("Relu", ["b"], ["c"]),
        node("MaxPool", ["c"], ["d"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        node("Concat", ["d", "d"], ["h"], axis=1),
        node("GlobalAveragePool", ["h"], ["m"]),
        node("Flatten", ["m"], ["n"], axis=1),
        node("Gemm", ["n", "u"], ["y"], transB=1, alpha=1.0),
    ]
    tensors = {"w": ones(4, 3, 3, 3), "s": ones(4), "v": ones(4), "u": ones(5, 8)}
    padded = [
        node("Pad", ["x", "p"], ["e"], mode="constant"),
        node("Slice", ["e", "i", "j", "k"], ["f"]),
        node("Conv", ["f", "w"], ["y"], pads=[0, 0, 0, 0]),
    ]
    numbers = {
        "p": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        "i": np.array([0]),
        "j": np.array([3]),
        "k": np.array([1]),
        "w": ones(4, 3, 3, 3),
    }
    text = [
        node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        node("MatMul", ["x", "t"], ["a"]),
        node("Softmax", ["a"], ["b"], axis=-1),
        node("MatMul", ["b", "x"], ["c"]),
        node("Add", ["c", "x"], ["d"]),
        node("LayerNormalization", ["d", "g"], ["e"], axis=-1),
        node("Reshape", ["e", "r"], ["f"]),
        node("MatMul", ["f", "w"], ["y"]),
    ]
    return [
        model(image, ["N", 3, 16, 16], tensors),
        model(padded, ["N", 3, 8, 8], numbers),
        model(text, ["N", 4, 8], {"g": ones(8), "r": np.array([1, 4, 8]), "w": ones(8, 3)}),
    ]


@st.composite
def models(draw: st.DrawFn) -> bytes:
    """Draw a model with fields changed as only a program would, or bytes as only a disk would."""
    import onnx

    data = draw(st.sampled_from(_models()))
    if draw(st.integers(0, 3)) == 0:
        return draw(mutated([data]))
    model = onnx.load_model_from_string(data)
    for _ in range(draw(st.integers(1, 4))):
        _change(draw, model)
    changed: bytes = model.SerializeToString()
    return changed


LARGE = NUMBERS.filter(lambda number: abs(number) < 2**63)
KINDS = (
    *("Conv", "Relu", "Add", "MatMul", "Gemm", "Concat", "Split", "Reshape", "Gather", "Cast"),
    *("Constant", "ConstantOfShape", "Expand", "Tile", "Range", "Resize", "Identity", "Shape"),
    *("Slice", "Pad", "Sum", "Softmax", "Transpose", "Unsqueeze", "Clip", "If", "Nosuch", "Div"),
)


def _change(draw: st.DrawFn, model: Any) -> None:
    graph = model.graph
    what = draw(st.sampled_from(["attribute", "kind", "edge", "tensor", "data", "shape", "opset"]))
    node = draw(st.sampled_from(list(graph.node)))
    tensor = draw(st.sampled_from(list(graph.initializer)))
    if what == "attribute" and node.attribute:
        attribute = draw(st.sampled_from(list(node.attribute)))
        attribute.i = draw(LARGE)
        attribute.f = draw(st.floats(width=32))
        del attribute.ints[:]
        attribute.ints.extend(draw(st.lists(LARGE, max_size=6)))
        if draw(st.booleans()):
            attribute.type = draw(st.integers(0, 14))
    elif what == "kind":
        node.op_type = draw(st.sampled_from(KINDS))
    elif what == "edge" and node.input:
        names = [each for other in graph.node for each in (*other.input, *other.output)]
        node.input[draw(st.integers(0, len(node.input) - 1))] = draw(st.sampled_from([*names, ""]))
    elif what == "tensor":
        tensor.dims[:] = draw(st.lists(LARGE, max_size=5))
    elif what == "data":
        tensor.data_type = draw(st.integers(0, 23))
        tensor.raw_data = draw(st.binary(max_size=80))
    elif what == "shape":
        shape = graph.input[0].type.tensor_type.shape
        dim = draw(st.sampled_from(list(shape.dim)[1:]))
        dim.dim_value = draw(LARGE)
    elif what == "opset":
        model.opset_import[0].version = draw(LARGE)


def read_model(data: bytes, folder: Path) -> bool:
    """Import a model, and count it."""
    from convprof.networks.onnx import load

    path = folder / "m.onnx"
    path.write_bytes(data)
    found = load(path, {"N": 1}).network
    assert found.macs >= 0
    assert found.bytes_min(4) > 0
    return True


READERS = (
    Reader("descriptors", descriptors, read_descriptor),
    Reader("flags", command_lines, read_flags),
    Reader("batch files", batch_files, read_batch_file),
    Reader("result documents", results, read_results),
    Reader("kept ceilings", kept_ceilings, read_ceilings),
    Reader("remembered choices", choices, read_choice),
    Reader("sweep journals", journals, read_journal),
    Reader("pictures", pictures, read_picture, needs="PIL"),
    Reader("weights", weights, read_weights),
    Reader("onnx files", models, read_model, needs="onnx"),
)
