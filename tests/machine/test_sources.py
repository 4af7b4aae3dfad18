from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from convprof.machine import brand, host, system
from convprof.machine.sources import READ_LIMIT


def test_a_long_file_is_cut_at_a_line(fake):
    line = "x" * 99 + "\n"
    fake.write("proc/cpuinfo", line * (READ_LIMIT // 100 + 5))

    text = fake.source().read("proc/cpuinfo")

    assert len(text) == READ_LIMIT // 100 * 100
    assert text.endswith("x\n")


def test_what_cannot_be_read_is_none(fake):
    source = fake.write("folder/file", "").source()

    assert source.read("missing") is None
    assert source.read("folder") is None
    assert source.read("bad\0name") is None
    assert source.names("folder/file") == []
    assert not source.exists("bad\0name")


def test_cpuinfo_ignores_headers_and_footers(fake):
    fake.write("proc/cpuinfo", "Hardware: x\n\nprocessor: 0\nFlags: fp\n\nprocessor: 1\n")

    assert fake.source().cpuinfo == ({"processor": "0", "flags": "fp"}, {"processor": "1"})


@pytest.mark.parametrize(
    ("machine", "words"), [("aarch64", "flags"), ("x86_64", "Features"), ("AMD64", "Features")]
)
def test_the_file_of_an_emulators_host_says_nothing(machine, words, fake):
    fake.write("proc/cpuinfo", f"processor: 0\nmodel name: Other\n{words}: fp sse2\n")

    source = fake.source(machine=machine, slow_brand=lambda: "Other")
    assert source.emulated
    assert source.cpuinfo == ()
    assert brand.detect(source) is None
    described = system.detect(source)
    assert (described.virtualised, described.hypervisor) == (True, "emulator")


def test_sysctl_reads_all_names_with_one_process(monkeypatch):
    calls = []

    def run(command, **_options):
        calls.append(command)
        return SimpleNamespace(stdout=b"hw.logicalcpu: 8\nhw.model: Mac14,2\nnoise\n")

    monkeypatch.setattr(host.subprocess, "run", run)
    host._sysctl_table.cache_clear()
    try:
        answers = [host._sysctl(name) for name in ("hw.logicalcpu", "hw.model", "hw.nothing")]
    finally:
        host._sysctl_table.cache_clear()

    assert answers == ["8", "Mac14,2", None]
    assert len(calls) == 1


def test_a_system_without_the_sysctl_program_has_no_values(monkeypatch):
    def run(*_arguments, **_options):
        raise FileNotFoundError

    monkeypatch.setattr(host.subprocess, "run", run)
    host._sysctl_table.cache_clear()
    try:
        assert host._sysctl("hw.logicalcpu") is None
    finally:
        host._sysctl_table.cache_clear()


class FakeKey:
    def __enter__(self):
        return "key"

    def __exit__(self, *_details):
        return False


def test_windows_keeps_the_brand_in_its_registry(monkeypatch):
    registry = SimpleNamespace(
        HKEY_LOCAL_MACHINE=0,
        OpenKey=lambda _root, _path: FakeKey(),
        QueryValueEx=lambda _key, name: (f"a CPU by {name}", 1),
    )
    monkeypatch.setitem(sys.modules, "winreg", registry)
    host._slow_brand.cache_clear()
    try:
        assert host._slow_brand() == "a CPU by ProcessorNameString"
    finally:
        host._slow_brand.cache_clear()


def test_py_cpuinfo_is_the_last_resort(monkeypatch):
    done = SimpleNamespace(stdout=b'{"brand_raw": "Some CPU"}')
    monkeypatch.setattr(host.subprocess, "run", lambda *_arguments, **_options: done)
    host._slow_brand.cache_clear()
    try:
        assert host._slow_brand() == "Some CPU"
    finally:
        host._slow_brand.cache_clear()


def test_no_file_of_the_working_directory_is_run(tmp_path, monkeypatch):
    """It may be anybody's: a repository that was just downloaded, a shared folder."""
    mark = tmp_path / "was_run"
    for name in ("cpuinfo", "json", "platform"):
        (tmp_path / f"{name}.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    host._slow_brand.cache_clear()
    try:
        host._slow_brand()
    finally:
        host._slow_brand.cache_clear()
    assert not mark.exists()
