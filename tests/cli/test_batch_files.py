"""Shape files from the command line: what is measured, what is left out, and what is said of it."""

from __future__ import annotations

import io
import json
import shlex

import pytest

from convprof import cli
from convprof.studies import preflight

CONV = "mb1ic4ih6oc4oh6kh3ph1"
MIXED = f"""{CONV}n"first"
ic4id3ih3iw3oc4kd3kh3kw3n"3d"
2x4x5:1x5x6
ic4id3ih3iw3oc4kd3kh3kw3n"3d too"
mb1ic4ih7oc4oh7kh3ph1n"last"
"""
HUGE = 'mb100000ic512ih512oc512oh512kh3ph1n"huge"'
LONG = 'mb1ic1ih4096oc1oh4096kh2601ph1300n"long"'
"""1.1e14 multiply-accumulates in 160 MB: more than anybody waits for."""


@pytest.fixture
def run(capsys):
    """Return exit code, stdout and the lines of stderr of a command."""

    def command(*words):
        status = cli._status([*map(str, words)])
        out, err = capsys.readouterr()
        return status, out, err.splitlines()

    return command


@pytest.fixture
def write(tmp_path):
    def file(text):
        path = tmp_path / "shapes"
        path.write_text(text)
        return path

    return file


def measured(path):
    """Return (name, kind, strategy, status) of each row of a document."""
    rows = json.loads(path.read_text())["measurements"]
    return [(r["problem"]["name"], r["problem"]["kind"], r["strategy"], r["status"]) for r in rows]


QUICK = ("-t", "1", "--layout", "nchw", "--budget", "0.001", "--rounds", "1")


def test_the_rest_of_a_mixed_file_is_measured_and_the_lines_left_out_are_said(run, write, tmp_path):
    path, found = write(MIXED), tmp_path / "o.json"
    status, _, err = run("run", "--batch", path, "-s", "direct", *QUICK, "--json", found)
    assert status == 0
    assert [row[0] for row in measured(found)] == ["first", "last"]
    (said,) = [line for line in err if "left out" in line]
    assert said == (
        f"note: 3 of 5 lines left out: 2 x 3-D convolution ({path}:2, 4); "
        f"1 x matrix product with a broadcast batch ({path}:3); run --dry-run lists them all"
    )


def test_dry_run_lists_every_line_left_out(run, write):
    path = write(MIXED)
    status, out, err = run("run", "--batch", path, "--dry-run", "-t", "1")
    assert status == 0
    assert [shlex.split(line)[-1] for line in out.splitlines()] == [
        f'{CONV}n"first"',
        'mb1ic4ih7oc4oh7kh3ph1n"last"',
    ]
    left_out = [line for line in err if line.startswith("left out: ")]
    assert [line.removeprefix("left out: ")[: len(str(path)) + 2] for line in left_out] == [
        f"{path}:{number}" for number in (2, 3, 4)
    ]
    assert "3d convolutions are not supported" in left_out[0]
    assert run("run", "--batch", path, "--dry-run", "-t", "1", "--quiet") == (0, out, [])


def test_match_includes_omitted_lines(run, write):
    path = write(MIXED)
    status, out, err = run("run", "--batch", path, "--match", "first|too", "--dry-run", "-t", "1")
    assert (status, out.count("\n")) == (0, 1)
    (said,) = err
    assert said.startswith(f"left out: {path}:4: ")


def test_a_file_with_nothing_left_is_an_error(run, write):
    path = write('ic4id3ih3iw3oc4kd3kh3kw3n"3d"\n7x2x3:1x3x4\nmb2ic3oc4\n')
    status, out, err = run("run", "--batch", path)
    assert (status, out, len(err)) == (2, "", 1)
    assert f"nothing to measure: {path}:1: 'ic4id3" in err[0]
    assert err[0].endswith(
        f"(and 2 more lines: 1 x matrix product with a broadcast batch ({path}:2); "
        f"1 x inner product ({path}:3))"
    )


def test_a_word_that_is_no_descriptor_stops(run, write):
    path = write(f"{CONV}\nmb1ic4ihx\n")
    status, out, err = run("run", "--batch", path, "--dry-run")
    assert (status, out, len(err)) == (2, "", 1)
    assert f"{path}:2: 'mb1ic4ihx': ih at character 7: no number follows ih" in err[0]


@pytest.mark.parametrize(("text", "reason"), [(HUGE, "of memory"), (LONG, "a call; use a smaller")])
def test_a_problem_too_large_is_refused_and_the_rest_measured(run, write, tmp_path, text, reason):
    path, found = write(f"{CONV}\n{text}\n"), tmp_path / "o.json"
    status, out, err = run("run", "--batch", path, "--dry-run", "-t", "1")
    assert (status, out.count("\n")) == (0, 1)
    assert [text[:20] in line and reason in line for line in err] == [True], err
    status, _, err = run("run", "--batch", path, "-s", "direct", *QUICK, "--json", found)
    assert status == 0
    name = text.split('"')[1]
    assert measured(found) == [
        (name, "conv2d", "direct", "refused"),
        (None, "conv2d", "direct", "ok"),
    ]
    assert [line for line in err if line.startswith("refused: ") and reason in line]


def test_dry_run_of_one_problem_too_large_says_so(run):
    status, out, err = run("run", HUGE, "--dry-run", "-t", "1")
    assert (status, out, len(err)) == (0, "", 1)
    assert err[0].startswith(f"left out: {HUGE}: f32 needs ")
    status, _, err = run("run", HUGE, "-t", "1")
    assert (status, len(err)) == (2, 1)


def test_memory_is_looked_up_once_for_all_problems(run, write, monkeypatch):
    path = write("".join(f"ic4ih{size}oc4kh3\n" for size in range(3, 40)))
    calls = []
    monkeypatch.setattr(preflight, "available_bytes", lambda: calls.append(1))
    assert run("run", "--batch", path, "--dry-run", "-t", "1")[0] == 0
    assert len(calls) == 1


def test_all_passes_of_a_layer_are_refused_together():
    from convprof.errors import TooLargeError
    from convprof.problems import BackwardWeights, parse
    from convprof.problems.gradients import TRAINING, passes_of

    passes = [one for text in (CONV, HUGE) for one in passes_of(parse(text), TRAINING)]
    error = TooLargeError("x")
    refused = preflight.with_siblings({BackwardWeights(parse(HUGE)): error}, passes)
    assert list(refused) == passes[3:]


def test_stdin(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{CONV}\n".encode())))
    assert run("run", "--batch", "-", "--dry-run", "-t", "1")[:2] == (
        0,
        f"convprof run -t 1 {CONV}\n",
    )
    status, _, err = run("run", "--batch", "-", "--batch", "-")
    assert status == 2
    assert "stdin: no problem in this file" in err[0]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{CONV}\n".encode())))
    status, _, err = run("run", "--batch", "-", "--batch", "-")
    assert (status, len(err)) == (2, 1)
    assert "--batch -: given twice" in err[0]


def test_the_passes_of_a_file_are_measured(run, write, tmp_path):
    path, found = write(f"--dir=FWD_D,BWD_D,BWD_W\n{CONV}\n"), tmp_path / "o.json"
    status, out, err = run("run", "--batch", path, "--dry-run", "-t", "1")
    assert (status, err) == (0, [])
    assert out.splitlines() == [
        f"convprof run -t 1 {flag}{CONV}"
        for flag in ("", "--pass backward-data ", "--pass backward-weights ")
    ]
    status, _, _ = run("run", "--batch", path, "-s", "direct", *QUICK, "--json", found)
    assert status == 0
    assert [kind for _, kind, _, _ in measured(found)] == [
        "conv2d",
        "conv2d-backward-data",
        "conv2d-backward-weights",
    ]


def test_the_flag_pass_holds_before_the_file(run, write):
    path = write(f"--dir=FWD_D,BWD_D\n{CONV}\n")
    words = ("run", "--batch", path, "--dry-run", "-t", "1", "--pass", "backward-weights")
    status, out, err = run(*words)
    assert (status, out) == (0, f"convprof run --pass backward-weights -t 1 {CONV}\n")
    assert err == ["note: --dir in the file: --pass backward-weights holds instead"]


@pytest.mark.parametrize("words", [("roofline", "--dry-run", "-t", "1"), ("explain", "layout")])
def test_commands_without_passes_take_the_forward_one_and_say_so(run, write, words):
    path = write(f"--dir=BWD_D\n{CONV}\n")
    status, out, err = run(*words, "--batch", path)
    assert status == 0
    assert CONV in out or "4x6x6" in out
    assert err == ["note: --dir in the file: this command has no --pass: forward"]


def test_a_name_of_hundreds_of_characters_is_shortened_on_the_screen_only(run, write, tmp_path):
    name, found = "b9bd14ee*15&" * 40, tmp_path / "o.json"
    path = write(f'{CONV}n"{name}"\n')
    status, out, _ = run("run", "--batch", path, "-s", "direct", *QUICK, "--json", found)
    assert status == 0
    assert f"{name[:57]}..." in out.replace("\n", "")
    assert name[:70] not in out.replace("\n", "")
    assert measured(found)[0][0] == name
    assert run("roofline", found)[0] == 0


def test_what_is_done_about_the_other_options(run, write):
    path = write(f"--dt=u8:s8:u8 --stag=abx --mode=P --attr-post-ops=relu\n{CONV}\n")
    own = ("--dtype", "f64", "--epilogue", "bias")
    _, out, err = run("run", "--batch", path, "--dry-run", "-t", "1", *own)
    (said,) = err
    assert said == (
        f"note: {path}: options of the file: the chosen dtype decides: --dt=u8:s8:u8; "
        "the chosen layout decides: --stag=abx; no effect (they steer benchdnn itself): --mode=P; "
        "the chosen epilogue decides: --attr-post-ops=relu"
    )
    assert out == f"convprof run --epilogue bias -t 1 --dtype f64 {CONV}\n"


TYPED = f"""--dt=bf16,f32
{CONV}n"a*2"
--dt=u8:s8:u8 --attr-post-ops=relu
{CONV}n"a"
--dt=u8:s8:bf16
{CONV}n"b"
"""


def test_types_and_epilogues_of_the_file_hold(run, write):
    path = write(TYPED)
    _, out, err = run("run", "--batch", path, "--dry-run", "-t", "1")
    assert out.splitlines() == [
        f"convprof run -t 1 --dtype bf16 '{CONV}n\"a*2\"'",
        f"convprof run -t 1 --dtype f32 '{CONV}n\"a*2\"'",
        f"convprof run -t 1 --dtype u8:s8:u8 --epilogue relu '{CONV}n\"a\"'",
    ]
    (left_out,) = err
    assert left_out.endswith(f"--dt=u8:s8:bf16 ({path}:5): these types are not computed")
    _, out, err = run("run", "--batch", path, "--dry-run", "-t", "1", "--dtype", "int8")
    assert [line.count("int8") for line in out.splitlines()] == [1, 1]  # with and without relu
    assert "the chosen dtype decides: --dt=bf16,f32 --dt=u8:s8:u8 --dt=u8:s8:bf16" in err[0]


def test_a_file_with_several_types_is_measured_in_each(run, write, tmp_path):
    path, found = write(TYPED.replace("--attr-post-ops=relu", "")), tmp_path / "o.json"
    words = ("run", "--batch", path, "-s", "direct", *QUICK, "--json", found)
    status, out, _ = run(*words)
    assert status == 0
    rows = json.loads(found.read_text())["measurements"]
    assert [(r["dtype"], r["status"]) for r in rows if r["layout"] == "nchw"] == [
        ("bf16", "ok"), ("f32", "ok"), ("u8:s8:u8", "ok"),
    ]  # fmt: skip
    assert json.loads(found.read_text())["settings"]["dtype"] == "bf16,f32,u8:s8:u8"
    title, head = out.splitlines()[:2]
    assert "several types" in title
    assert "type" in head
    status, shown, _ = run("show", found)
    assert (status, shown.count(" a ")) == (0, out.count(" a "))
    assert shown.splitlines()[:6] == out.splitlines()[:6]


def test_the_default_type_and_the_same_type_in_the_file_are_one_problem(run, write, tmp_path):
    path, found = write(f"--dt=f32\n{CONV}\n--reset\n{CONV}\n"), tmp_path / "o.json"
    assert run("run", "--batch", path, "-s", "direct", *QUICK, "--json", found)[0] == 0
    assert len(measured(found)) == 1


def test_a_shape_with_and_without_an_epilogue_is_two_problems(run, write, tmp_path):
    lines = "--matmul\n4x8:8x8\n--attr-post-ops=relu\n4x8:8x8\n"
    path, found = write(lines), tmp_path / "o.json"
    status, out, _ = run("run", "--batch", path, "-s", "packed", *QUICK, "--json", found)
    assert (status, len(measured(found))) == (0, 2)
    assert run("show", found)[1].splitlines()[:4] == out.splitlines()[:4]


def test_weights_of_few_bits_are_named(run, write):
    path = write("--dt=f32:u4:f32 --attr-scales=wei:per_ocic:f16:32x1\n4x64:64x8\n")
    _, out, _ = run("run", "--batch", path, "--dry-run", "-t", "1")
    assert out == "convprof run -t 1 --weight-dtype uint4 --group 32 4x64:64x8\n"
    status, out, _ = run("run", "--batch", path, "-s", "naive", *QUICK)
    assert (status, "f32 x uint4 in groups of 32" in out) == (0, True)


def test_commands_without_these_options_say_so(run, write):
    path = write(f"--dt=bf16 --attr-post-ops=relu\n{CONV}\n")
    _, out, err = run("roofline", "--batch", path, "--dry-run", "-t", "1")
    assert out == f"convprof roofline -t 1 --dtype bf16 {CONV}\n"
    assert "the chosen epilogue decides: --attr-post-ops=relu" in err[0]
    _, _, err = run("compare", "dtypes", "--batch", path, "--dry-run", "-t", "1")
    assert "the chosen dtype decides: --dt=bf16" in err[0]


def test_match_in_the_file(run, write):
    path = write(f'--match=.*keep.*\n{CONV}n"drop"\n{CONV}n"keep"\n')
    status, out, err = run("run", "--batch", path, "--dry-run", "-t", "1")
    assert (status, out) == (0, f"convprof run -t 1 '{CONV}n\"keep\"'\n")
    assert err == [f"note: {path}: the match option in the file leaves out 1 of 2 lines"]


def test_impossible_output_sizes_are_refused_and_the_way_out_works(run):
    status, _, err = run("run", "mb1ic16ih14oh41oc16kh3ph1", "--dry-run")
    assert (status, len(err)) == (2, 1)
    assert "oh41: with ih14 it takes 28 rows of padding at the end" in err[0]
    text = "mb1ic16ih14oc16oh41kh3ph1eh28"
    assert run("run", text, "--dry-run", "-t", "1")[1] == f"convprof run -t 1 {text}\n"
    words = ("--input", "1x16x14x14", "--filters", "16", "--kernel", "3", "--pad", "1x1x28x28")
    assert run("run", *words, "--dry-run", "-t", "1")[1] == f"convprof run -t 1 {text}\n"
