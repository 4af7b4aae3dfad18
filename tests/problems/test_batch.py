from __future__ import annotations

import io

import pytest

from convprof.errors import DescriptorError, InputError
from convprof.problems import BackwardData, BackwardWeights, Conv2d, Gemm, batch_text, read_batch
from convprof.problems import batch as module
from convprof.problems.batch_options import EPILOGUE, TYPES, notes

CONV = "mb50ic64ih56oc64oh56kh3ph1"


def write(folder, text, name="shapes"):
    path = folder / name
    path.write_text(text)
    return path


def test_a_shape_file_is_read_unchanged(tmp_path):
    path = write(
        tmp_path,
        f"""# resnet_50

{CONV}n"resnet_50:res2a_branch2b*3"
# {CONV}n"resnet_50:res2b_branch2b"         # res2a_branch2b
{CONV}_n"a # b"   # a comment
88256x768:768x1000_n"vit:mm4*1"
""",
    )
    batch = read_batch(path)
    first, second, third = batch.entries
    assert Conv2d(n=50, c=64, h=56, w=56, k=64, r=3, s=3, pad=(1, 1)) == first.problem
    assert (first.problem.name, first.count) == ("resnet_50:res2a_branch2b*3", 3)
    assert f"{path}:3" == first.source
    assert (second.problem.name, second.count) == ("a # b", 1)
    assert (Gemm(m=88256, n=1000, k=768), 1) == (third.problem, third.count)
    assert (batch.answers, batch.left_out, batch.lines) == ({}, [], 3)


def test_comments_after_quotes_and_hashes_in_names(tmp_path):
    text = f'{CONV}n"a"# "comment\r\n{CONV}na#b\r\n#{CONV}\r\n\ufeff'.removesuffix("\ufeff")
    assert [e.problem.name for e in read_batch(write(tmp_path, text)).entries] == ["a", "a#b"]


def test_options(tmp_path):
    path = write(
        tmp_path,
        f"""--reset --dt=u8:s8:u8 --mb=2
{CONV} 2x3:3x4
--dt=u8:s8:u8 --attr-post-ops=relu -v1 --mb=1,0,1
{CONV}
--reset
{CONV}
""",
    )
    batch = read_batch(path, chosen=(TYPES, EPILOGUE))
    sizes = [e.problem.n for e in batch.entries if isinstance(e.problem, Conv2d)]
    assert sizes == [2, 1, 50, 50]
    assert notes(batch.answers) == (
        "the chosen dtype decides: --dt=u8:s8:u8; "
        "the chosen epilogue decides: --attr-post-ops=relu; "
        "no effect (they steer benchdnn itself): -v1"
    )


def test_many_options_are_counted_in_the_note():
    answers = {"the chosen layout decides": dict.fromkeys(f"--stag={x}" for x in "abcde")}
    assert notes(answers) == "the chosen layout decides: --stag=a --stag=b --stag=c and 2 more"
    long = notes({"x": {f"--dt=\x1b{'a' * 80}": None}})
    assert long.startswith("x: '--dt=\\x1baaa")
    assert long.endswith("aaa...")
    assert len(long) == len("x: ") + 60


def test_dir_says_which_passes_are_meant(tmp_path):
    path = write(
        tmp_path,
        f"--dir=bwd_d\n{CONV}\n--dir=FWD_I,BWD_WB,FWD_D\n{CONV} 2x3:3x4\n--reset\n{CONV}\n",
    )
    batch = read_batch(path)
    forward = batch.entries[-1].problem
    assert [entry.problem for entry in batch.entries] == [
        BackwardData(forward),
        forward,
        BackwardWeights(forward),
        Gemm(m=2, n=4, k=3),
        forward,
    ]
    assert notes(batch.answers) == "the bias has no gradient here: --dir=FWD_I,BWD_WB,FWD_D"


def test_match_selects_the_lines_that_follow(tmp_path):
    path = write(
        tmp_path,
        f"""{CONV}n"before"
--match=.*keep.*
{CONV}n"keep1" {CONV}n"drop" ic4id3ih3oc4kd3kh3n"drop"
--match=".*kh[0-9]ph1n"
{CONV} {CONV}n"drop?"
--match=
{CONV}n"after"
--match=none
--reset
{CONV}n"last"
""",
    )
    batch = read_batch(path)
    names = [entry.problem.name for entry in batch.entries]
    assert names == ["before", "keep1", "drop?", "after", "last"]
    assert (batch.unmatched, batch.lines, batch.left_out) == (3, 8, [])


def test_match_that_leaves_nothing(tmp_path):
    path = write(tmp_path, f"--match=none\n{CONV}\n2x3:3x4\n")
    with pytest.raises(InputError, match="shapes: its match option leaves out all of its 2 lines"):
        read_batch(path)


LEFT_OUT = [
    ("ic4id3ih3iw3oc4kd3kh3kw3", "3-D convolution", "3d convolutions are not supported"),
    ("ic4id3oc4kd3", "3-D convolution", "3d convolutions are not supported"),
    ("7x2x3:1x3x4", "matrix product with a broadcast batch", "broadcasting is not supported"),
    ("2x3:3x4:1x4", "not a matrix product", "the result is 2x4, not 1x4"),
    ("64x1000", "not a matrix product", "1 tensors"),
    ("0x3:3x4", "a size of 0", "every dimension must be at least 1"),
    ("ic0ih3oc4kh3", "a size of 0", "ic0 at character 1: must be at least 1"),
    ("ic4ih3000000000oc4kh3", "a size over 2**31 - 1", "must be at most 2147483647"),
    ('mb112ic2048oc1000n"resnet:ip1"', "inner product", "missing ih"),
    ("mb2ic256ih6oc4096", "inner product", "missing kh"),
    ("ic64ih112oh56kh3sh2", "not a convolution (a required field is missing)", "missing oc"),
    ("ic8ih9oc8oh4kh3ph1", "negative padding", "oh4 does not follow"),
    ("ic96ih55oc3oh227kh11sh4ph0", "output size that only padding gives (deconvolution?)", "oh227"),
    ("ic3ih9oc4kh3g2", "shape that cannot be computed", "groups=2: must divide c=3"),
]


@pytest.mark.parametrize(("text", "group", "reason"), LEFT_OUT)
def test_lines_that_are_not_computed_are_left_out(tmp_path, text, group, reason):
    path = write(tmp_path, f"{CONV}\n{text}\n{CONV}")
    batch = read_batch(path)
    (line,) = batch.left_out
    assert (len(batch.entries), batch.lines) == (2, 3)
    assert (line.source, line.text, line.group) == (f"{path}:2", text, group)
    assert reason in line.reason
    assert line.reason.isprintable()


@pytest.mark.parametrize(
    ("option", "end"),
    [
        ("--deconv --nosuch=1", "--conv"),
        ("--ip", "--matmul"),
        ("--grouped=0:4:8+8+8+8", "--grouped="),
        ("--encoding=csr+0.99::", "--encoding=::"),
        ("--encoding=csr+0.99::", "--reset"),
    ],
)
def test_options_that_make_other_problems_of_the_lines(tmp_path, option, end):
    path = write(tmp_path, f"{option}\n{CONV}\n2x3:3x4 ic5\n{end}\n{CONV}\n")
    batch = read_batch(path)
    assert [entry.source for entry in batch.entries] == [f"{path}:5"]
    name = option.partition("=")[0].partition(" ")[0]
    assert [line.group for line in batch.left_out] == [f"under {name}"] * 3
    assert "makes it another problem" in batch.left_out[0].reason


def test_a_minibatch_that_is_too_large_for_one_line(tmp_path):
    path = write(tmp_path, f"--mb=2147483647\nic2ih1oc2kh1\n{CONV}\n")
    batch = read_batch(path)
    assert len(batch.entries) == 1
    assert "more than 2**48 elements" in batch.left_out[0].reason


def test_stdin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, CONV, "nested")
    text = b"--batch=nested\n2x3:3x4\nic4id3ih3oc4kd3kh3n\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    batch = read_batch("-")
    assert [entry.source for entry in batch.entries] == ["nested:1", "stdin:2"]
    assert batch.left_out[0].source == "stdin:3"
    with pytest.raises(InputError, match=r"^stdin: no problem in this file"):
        read_batch("-")
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match=r"^batch=-: stdin is closed; name a file"):
        read_batch("-")


def test_lines_joined_without_end_take_linear_time():
    (word,) = batch_text.words("a\\\n" * 200_000)
    assert word == (1, "a" * 200_000)


def test_lines_joined_by_a_backslash(tmp_path):
    path = write(tmp_path, "mb1ic64ih56\\\n  oc64oh56 \\\nkh3\n2x3:3x4\n")
    first, second = read_batch(path).entries
    assert ("mb1ic64ih56oc64oh56kh3ph1", f"{path}:1") == (first.problem.descriptor, first.source)
    assert f"{path}:4" == second.source


def test_nested_files_are_next_to_the_file_and_share_its_options(tmp_path):
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", "--batch=c\n--mb=7", "b")
    write(tmp_path / "sub", CONV, "c")
    path = write(tmp_path, f"--mb=4 --batch=sub/b\n{CONV}")
    batch = read_batch(path)
    assert [e.problem.n for e in batch.entries] == [4, 7]
    assert f"{tmp_path / 'sub' / 'c'}:1" == batch.entries[0].source


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{CONV}\nzz0\n", ":2: 'zz0': unknown field 'zz' at character 1: known: g mb"),
        (f"{CONV}\nmb1ic64ih", ":2: 'mb1ic64ih': ih at character 8: no number follows ih;"),
        (f"{CONV}\nmb1ic64o", ":2: 'mb1ic64o': unknown field 'o' at character 8: did you mean"),
        (f'{CONV}n"res\n', f":1: '{CONV}n\"res': n'\"res': the name's closing quote is missing"),
        ("--mb=x\n", ":1: '--mb=x': write e.g. --mb=4"),
        ("--mb=9999999999\n", ":1: '--mb=9999999999': must be at most"),
        ("--md=4\n", ":1: '--md=4': no benchdnn option of that name; did you mean --mode or --mb?"),
        (f"--mb={','.join(map(str, range(101)))}", ":1: '--mb=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14"),
        ("--dir=FWD", ":1: '--dir=FWD': use FWD_B, FWD_D, FWD_I, BWD_D, BWD_W, BWD_WB, BWD_DW"),
        ("--match=[a", ":1: --match='[a': [ without ]"),
        ("--batch=a\x1b/no", ":1: '"),
        ("--batch=\n", ":1: batch without a file: write --batch=FILE"),
        (f'{CONV}n"a*0"\n', ":1: 'a*0': a multiplicity must be at least 1"),
        ("-\n", ":1: '-': no benchdnn option of that name; remove it"),
    ],
)
def test_bad_lines_are_located(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_batch(path)
    assert str(caught.value).startswith(f"{path}{message}")
    assert str(caught.value).isprintable()


def test_cycles(tmp_path):
    path = write(tmp_path, "--batch=b\n")
    inner = write(tmp_path, "\n--batch=shapes\n", "b")
    with pytest.raises(DescriptorError) as caught:
        read_batch(path)
    assert f"{inner}:2: {path}: this file includes itself; remove the line" == str(caught.value)


def test_depth_and_number_are_bounded(tmp_path, monkeypatch):
    for level in range(12):
        write(tmp_path, f"--batch=f{level + 1}\n", f"f{level}")
    with pytest.raises(DescriptorError, match="more than 10 files deep"):
        read_batch(tmp_path / "f0")
    monkeypatch.setattr(module, "MAX_PROBLEMS", 3)
    with pytest.raises(DescriptorError, match="shapes:4: more than 3 problems; split the file"):
        read_batch(write(tmp_path, f"{CONV}\n" * 4))
    monkeypatch.setattr(module, "MAX_OPTIONS", 3)
    with pytest.raises(DescriptorError, match="shapes:4: more than 3 options; split the file"):
        read_batch(write(tmp_path, "--mb=1\n" * 4))
    monkeypatch.setattr(module, "MAX_ALL_BYTES", 20)
    with pytest.raises(DescriptorError, match="all files together have over"):
        read_batch(write(tmp_path, f"{CONV}\n" * 2))


def test_missing_nested_file_names_the_line(tmp_path):
    path = write(tmp_path, "\n--batch=nowhere\n")
    with pytest.raises(InputError) as caught:
        read_batch(path)
    missing = f"{tmp_path / 'nowhere'}: cannot be read: No such file or directory"
    assert f"{path}:2: {missing}" == str(caught.value)


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(batch_text, "MAX_BYTES", 1 << 20)
    binary, zero, empty, large = (tmp_path / name for name in ("bin", "zero", "empty", "large"))
    binary.write_bytes(b"\x7fELF\xff\xfe")
    zero.write_bytes(b"mb1\0")
    empty.write_text("# nothing\n\n--reset\n")
    large.write_bytes(b"#" * ((1 << 20) + 1))
    for path, reason in (
        (tmp_path / "none", "cannot be read: No such file or directory"),
        (tmp_path / "a\0b", "cannot be read: embedded null byte"),
        (tmp_path, "is a directory; name a file in it"),
        (binary, "not a text file (byte 4 is not UTF-8)"),
        (zero, "not a text file (it holds a zero byte)"),
        (empty, "no problem in this file; give one descriptor per line"),
        (large, "larger than 1 MiB; split the file"),
    ):
        with pytest.raises(InputError) as caught:
            read_batch(path)
        assert str(caught.value).endswith(f": {reason}")
        assert str(caught.value).isprintable()
