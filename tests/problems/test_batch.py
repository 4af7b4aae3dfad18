from __future__ import annotations

import pytest

from convprof.errors import DescriptorError, InputError
from convprof.problems import Conv2d, Gemm, read_batch
from convprof.problems import batch as module

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
    assert batch.ignored == []


def test_comments_after_quotes_and_hashes_in_names(tmp_path):
    text = f'{CONV}n"a"# "comment\r\n{CONV}na#b\r\n#{CONV}\r\n\ufeff'.removesuffix("\ufeff")
    assert [e.problem.name for e in read_batch(write(tmp_path, text)).entries] == ["a", "a#b"]


def test_options(tmp_path):
    path = write(
        tmp_path,
        f"""--reset --dir=FWD_B,BWD_D --mb=2
{CONV} 2x3:3x4
--dir=FWD_B,BWD_D --attr-post-ops=relu -v1 --mb=1,0
{CONV}
--reset
{CONV}
""",
    )
    batch = read_batch(path)
    sizes = [e.problem.n for e in batch.entries if isinstance(e.problem, Conv2d)]
    assert sizes == [2, 1, 50, 50]
    assert batch.ignored == ["--dir=FWD_B,BWD_D", "--attr-post-ops=relu", "-v1"]


def test_lines_joined_by_a_backslash(tmp_path):
    path = write(tmp_path, "mb1ic64ih56\\\n  oc64oh56 \\\nkh3\n2x3:3x4\n")
    first, second = read_batch(path).entries
    assert ("mb1ic64ih56oc64oh56kh3ph1", f"{path}:1") == (first.problem.descriptor, first.source)
    assert f"{path}:4" == second.source


def test_nested_files_lie_beside_the_file_and_share_its_options(tmp_path):
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
        (f"{CONV}\nic0\n", ":2: 'ic0': ic0 at character 1: must be at least 1"),
        (
            f"{CONV}\nmb1ic64ih5",
            ":2: 'mb1ic64ih5': missing oc: ic, oc, ih and kh are required (the",
        ),
        (f'{CONV}n"res\n', f":1: '{CONV}n\"res': n'\"res': the name's closing quote is missing"),
        ("--mb=x\n", ":1: '--mb=x': write e.g. --mb=4"),
        ("--mb=9999999999\n", ":1: '--mb=9999999999': must be at most"),
        ("--md=4\n", ":1: '--md=4': no benchdnn option of that name; did you mean --mode or --mb?"),
        ("--batch=\n", ":1: --batch: write --batch=FILE"),
        (f'{CONV}n"a*0"\n', ":1: 'a*0': a multiplicity must be at least 1"),
        ("ic1ih1oc1kh3\n", ":1: 'ic1ih1oc1kh3': r=3: a filter of 3 rows"),
        ("-\n", ":1: '-': no benchdnn option of that name; remove it"),
    ],
)
def test_bad_lines_are_located(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(DescriptorError) as caught:
        read_batch(path)
    assert str(caught.value).startswith(f"{path}{message}")


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


def test_missing_nested_file_names_the_line(tmp_path):
    path = write(tmp_path, "\n--batch=nowhere\n")
    with pytest.raises(InputError) as caught:
        read_batch(path)
    missing = f"{tmp_path / 'nowhere'}: cannot be read: No such file or directory"
    assert f"{path}:2: {missing}" == str(caught.value)


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 1 << 20)
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
