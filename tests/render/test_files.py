from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from convprof.errors import ConvprofError, InputError
from convprof.render.files import check_writable, write_atomically

posix = pytest.mark.skipif(os.name != "posix", reason="modes and devices are POSIX's")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask_027():
    before = os.umask(0o027)
    yield
    os.umask(before)


def test_checking_leaves_nothing_behind(tmp_path):
    check_writable(str(tmp_path / "new.json"), "--json")
    old = tmp_path / "old.json"
    old.write_text("old")
    check_writable(str(old), "--json")
    assert [old] == list(tmp_path.iterdir())
    assert old.read_text() == "old"


AWAY = "Name another file, or '-' for stdout"
CREATE = "Create it first, or use '-' for stdout"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", f"'': cannot be written: the name is empty. {AWAY}"),
        (".", ".: cannot be written: it is a folder. Name a file in it, or '-' for stdout"),
        ("new/", "new/: cannot be written: it is a folder. Name a file in it, or '-' for stdout"),
        ("no/such", f"no/such: cannot be written: there is no folder no. {CREATE}"),
        ("file/x", f"file/x: cannot be written: there is no folder file. {CREATE}"),
        (
            "\x1b[2J\n/x",
            rf"'\x1b[2J\n/x': cannot be written: there is no folder '\x1b[2J\n'. {CREATE}",
        ),
    ],
)
def test_a_write_error_is_one_line(path, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as raised:
        check_writable(path, "--csv")
    assert f"--csv {message}" == str(raised.value)


def test_a_name_with_a_null_byte():
    with pytest.raises(InputError, match=r"--csv 'a\\x00b': cannot be written: .*null"):
        check_writable("a\0b", "--csv")


def test_a_name_that_is_too_long(tmp_path):
    with pytest.raises(InputError, match="cannot be written: File name too long"):
        check_writable(str(tmp_path / ("x" * 300)), "--json")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_protected_files_and_folders(tmp_path):
    folder = tmp_path / "protected"
    folder.mkdir(mode=0o555)
    with pytest.raises(InputError, match="Permission denied"):
        check_writable(str(folder / "x"), "--json")
    file = tmp_path / "x"
    file.touch(mode=0o444)
    with pytest.raises(InputError, match="write-protected"):
        check_writable(str(file), "--json")


@posix
def test_a_new_file_has_the_usual_mode(tmp_path, umask_027):  # noqa: ARG001
    path = tmp_path / "x.json"
    write_atomically(str(path), "µ\n")
    assert path.read_bytes() == b"\xc2\xb5\n"
    assert mode(path) == 0o640


@posix
def test_an_existing_file_keeps_its_mode(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("a longer old text")
    path.chmod(0o604)
    write_atomically(str(path), "new")
    assert path.read_text() == "new"
    assert mode(path) == 0o604
    assert [path] == list(tmp_path.iterdir())


@posix
def test_a_link_keeps_pointing(tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    link = tmp_path / "link.json"
    link.symlink_to(folder / "target.json")
    check_writable(str(link), "--json")
    write_atomically(str(link), "new")
    assert link.is_symlink()
    assert (folder / "target.json").read_text() == "new"


@posix
def test_a_device_is_not_replaced():
    check_writable("/dev/null", "--json")
    write_atomically("/dev/null", "text")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_failure_leaves_the_old_file_and_no_part(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    path.write_text("old")

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ConvprofError, match=r"x\.json: cannot be written: No space left on device"):
        write_atomically(str(path), "new")
    assert path.read_text() == "old"
    assert [path] == list(tmp_path.iterdir())


def test_a_folder_that_has_gone_meanwhile(tmp_path):
    with pytest.raises(ConvprofError, match="cannot be written: No such file or directory"):
        write_atomically(str(tmp_path / "gone" / "x.json"), "new")


def test_text_that_utf8_cannot_hold(tmp_path):
    path = tmp_path / "x.json"
    write_atomically(str(path), "a\udcffb")
    assert path.read_text() == r"a\udcffb"


def test_dash_is_stdout(capsys):
    check_writable("-", "--json")
    write_atomically("-", "text\n")
    assert capsys.readouterr().out == "text\n"
