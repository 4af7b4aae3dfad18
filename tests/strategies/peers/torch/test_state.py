"""What PyTorch shares process-wide, held and given back: with a PyTorch that is none."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from convprof.errors import RefusedError
from convprof.strategies import forks, openmp
from convprof.strategies.peers import first_use
from convprof.strategies.peers.torch import state


class FakeTorch:
    """PyTorch before 2.9, as far as ``hold`` looks at it."""

    def __init__(self, most=99):
        self.threads, self.precision, self.most = 4, "medium", most
        self.calls = 0
        self.backends = SimpleNamespace(mkldnn=SimpleNamespace())

    def get_num_threads(self):
        return self.threads

    def set_num_threads(self, threads):
        self.calls += 1
        self.threads = min(threads, self.most)

    def get_float32_matmul_precision(self):
        return self.precision

    def set_float32_matmul_precision(self, precision):
        self.precision = precision


@pytest.fixture
def library(monkeypatch):
    """Make a library of a fake."""
    monkeypatch.setattr(openmp, "runtimes", list)
    monkeypatch.setattr(first_use, "_started", {})
    monkeypatch.setattr(forks, "_used", {})

    def make(fake):
        monkeypatch.setattr(state, "load", lambda _: fake)
        return state._Torch()

    return make


def test_an_older_torch_is_held_to_full_precision_and_given_back(library):
    fake = FakeTorch()
    held = library(fake)
    held.hold(2)
    assert (fake.threads, fake.precision) == (2, "highest")
    held.release()
    assert (fake.threads, fake.precision) == (4, "medium")


def test_the_parts_of_a_newer_torch_are_held_one_by_one(library):
    fake = FakeTorch()
    conv, matmul = (SimpleNamespace(fp32_precision=found) for found in ("bf16", "none"))
    fake.backends.mkldnn = SimpleNamespace(conv=conv, matmul=matmul)
    held = library(fake)
    held.hold(1)
    assert (conv.fp32_precision, matmul.fp32_precision) == ("ieee", "ieee")
    held.release()
    assert (conv.fp32_precision, matmul.fp32_precision) == ("bf16", "none")


def test_a_torch_that_takes_fewer_threads_is_refused_each_time(library):
    held = library(FakeTorch(most=1))
    for _ in range(2):
        with pytest.raises(RefusedError, match="torch runs on 1 thread here, not 2"):
            held.hold(2)


def test_threads_are_set_once_for_each_python_thread(library):
    fake = FakeTorch()
    held = library(fake)
    for _ in range(3):
        held.hold(2)
    assert fake.calls == 1
    other = threading.Thread(target=held.hold, args=(2,))
    other.start()
    other.join()
    assert fake.calls == 2
