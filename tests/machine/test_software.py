from __future__ import annotations

import sys

import pytest

from convprof.codegen import affinity
from convprof.machine import software


def pool(path, name="openblas", **more):
    return {"user_api": "blas", "internal_api": name, "filepath": path, "num_threads": 4, **more}


def test_numpys_blas_is_the_library_next_to_numpy(monkeypatch):
    import threadpoolctl

    pools = [
        pool("/site/torch/lib/libmkl_rt.so", "mkl"),
        {"user_api": "openmp", "internal_api": "openmp", "filepath": "/x/libgomp.so"},
        pool("/site/numpy.libs/libopenblas.so", version="0.3", architecture="Zen"),
    ]
    monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda: pools)

    assert software.Blas("openblas", "0.3", "Zen", 4) == software.blas()


def test_the_build_names_the_blas_if_no_library_is_visible(monkeypatch):
    import numpy as np
    import threadpoolctl

    built = {"Build Dependencies": {"blas": {"name": "accelerate", "version": "unknown"}}}
    monkeypatch.setattr(threadpoolctl, "threadpool_info", list)
    monkeypatch.setattr(np, "show_config", lambda mode: built)  # noqa: ARG005

    assert software.Blas("accelerate", "unknown", None, None) == software.blas()


def test_a_forced_layer_is_the_only_one(monkeypatch):
    from numba.core import config

    monkeypatch.setattr(config, "THREADING_LAYER", "workqueue")

    assert software._threading_layers() == ("workqueue",)


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        ("2.13.0+cpu", (2, 13)),
        ("3", (3,)),
        ("1.22rc1", (9, 9)),
        ("2.a", (9, 9)),
        ("", (9, 9)),
        (None, (9, 9)),
    ],
)
def test_the_first_numbers_of_a_version(monkeypatch, version, numbers):
    monkeypatch.setattr(software, "version", lambda _: version)
    assert software.numbers("torch", (9, 9)) == numbers


def test_a_missing_package_has_no_version(monkeypatch):
    assert software.version("no-such-package-anywhere") is None
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    assert software._llvm() == (None, None)


@pytest.mark.parametrize("error", [ImportError, OSError, SystemError, AttributeError])
@pytest.mark.parametrize("package", ["numba", "llvmlite"])
def test_a_broken_package_is_unknown(monkeypatch, tmp_path, package, error):
    (tmp_path / f"{package}.py").write_text(f"raise {error.__name__}('x')", encoding="utf-8")
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)

    if package == "numba":
        assert software._threading_layers() == ()
    else:
        assert software._llvm() == (None, None)


def test_the_search_for_threading_layers_binds_no_thread(monkeypatch):
    start = affinity.AT_START
    if start is None or len(start) < 2:
        pytest.skip("needs two CPUs, and sched_setaffinity")

    def binding(_):
        affinity.change(0, frozenset({min(start)}))
        return True

    monkeypatch.setattr(software, "_layer_loads", binding)
    assert software._threading_layers()
    assert affinity.of() == start


def test_the_versions_of_a_document_are_those_of_the_packages():
    import numpy as np

    assert software.versions()["numpy"] == np.__version__
    assert set(software.versions()) == {"Python", "numpy", "numba", "llvmlite"}
