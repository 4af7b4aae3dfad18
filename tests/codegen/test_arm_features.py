"""The features of an AArch64 CPU that the operating system lists, and LLVM does not."""

from __future__ import annotations

import ctypes
import platform
import sys
from types import SimpleNamespace

import pytest

from convprof.codegen import arm_features, target


@pytest.fixture
def library(monkeypatch):
    """Return a function that replaces the functions of the C library."""

    def use(system, **functions):
        monkeypatch.setattr(sys, "platform", system)
        monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace(**functions))

    return use


class Auxiliary:
    """``getauxval`` of a kernel, with words by their number."""

    def __init__(self, words):
        self.words = words

    def __call__(self, number):
        return self.words.get(number, 0)


NEOVERSE_V1 = {16: 1 << 1 | 1 << 10 | 1 << 20, 26: 1 << 13 | 1 << 14}
NEOVERSE_N1 = {16: 1 << 1 | 1 << 10 | 1 << 20}


@pytest.mark.parametrize(
    ("words", "features"),
    [
        (NEOVERSE_V1, {"neon", "fullfp16", "dotprod", "i8mm", "bf16"}),
        (NEOVERSE_N1, {"neon", "fullfp16", "dotprod"}),
        ({16: 1 << 1}, {"neon"}),
    ],
)
def test_linux_lists_features_in_the_auxiliary_vector(words, features, library):
    library("linux", getauxval=Auxiliary(words))
    present = arm_features.present()
    assert {name for name, has in present.items() if has} == features
    assert set(present) == {"neon", "fullfp16", "dotprod", "i8mm", "bf16"}


def test_macos_has_names_for_features_and_old_systems_have_other_names(library):
    names = {b"hw.optional.neon": 1, b"hw.optional.arm.FEAT_DotProd": 1}
    names[b"hw.optional.arm.FEAT_BF16"] = 0

    def sysctl(name, where, _length, _new, _new_length):
        if name not in names:
            return -1
        where._obj.value = names[name]
        return 0

    library("darwin", sysctlbyname=sysctl)
    assert arm_features.present() == {"neon": True, "dotprod": True, "bf16": False}


def test_other_systems_list_nothing(library):
    library("win32")
    assert arm_features.present() == {}


@pytest.mark.parametrize(("machine", "has"), [("aarch64", True), ("arm64", True), ("AMD64", False)])
def test_the_target_has_what_llvm_leaves_out(machine, has, library, monkeypatch):
    library("linux", getauxval=Auxiliary(NEOVERSE_V1))
    monkeypatch.setattr(platform, "machine", lambda: machine)
    listed = SimpleNamespace(flatten=lambda: "+neon,+sve")
    monkeypatch.setattr(target.llvm, "get_host_cpu_features", lambda: listed)
    host = target.target.__wrapped__()
    assert host.has("neon")
    assert host.has("bf16", "i8mm", "dotprod") is has
