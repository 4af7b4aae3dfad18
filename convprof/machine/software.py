"""Versions of the compilers and libraries that decide how fast code runs. Slow: 0.4 s."""

from __future__ import annotations

import functools
import importlib
import platform
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from convprof.errors import ConvprofError

if TYPE_CHECKING:
    from convprof.codegen.scheduling import Model

from convprof.codegen import affinity

_LAYER_MODULES = {"tbb": "tbbpool", "omp": "omppool", "workqueue": "workqueue"}


@dataclass(frozen=True)
class Blas:
    """The library behind NumPy's matrix product."""

    name: str
    version: str | None
    architecture: str | None
    """The kernels it chose for this CPU, in its own words."""
    threads: int | None

    def __str__(self) -> str:
        """Return ``openblas 0.3.30 Zen``."""
        return " ".join(part for part in (self.name, self.version, self.architecture) if part)


@dataclass(frozen=True)
class Software:
    """What the program runs on; None for what is absent or does not tell."""

    python: str
    numpy: str | None
    numba: str | None
    llvmlite: str | None
    llvm: str | None
    llvm_host_cpu: str | None
    """LLVM's name for this CPU; a guess that may be wrong in a virtual machine."""
    llvm_model: str | None
    """LLVM's name of the CPU whose scheduling model kernels are generated with."""
    llvm_host_spills: int | None
    """Accesses to the stack in the loops of our test kernels with the model of ``llvm_host_cpu``:
    where there are any, another model is used."""
    numba_settings: dict[str, str] = field(hash=False)
    """Variables of numba that are set so that loop nests get other code than usual."""
    threading_layers: tuple[str, ...]
    """Layers of numba that load here, in the order in which numba tries them."""
    blas: Blas | None


@functools.cache
def software() -> Software:
    """Return the software of this process; imports NumPy, numba and llvmlite."""
    llvm, host = _llvm()
    model = _model()
    return Software(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        numpy=version("numpy"),
        numba=version("numba"),
        llvmlite=version("llvmlite"),
        llvm=llvm,
        llvm_host_cpu=host,
        llvm_model=model.name if model else None,
        llvm_host_spills=model.host_spills if model else None,
        numba_settings=numba_settings(),
        threading_layers=_threading_layers(),
        blas=blas(),
    )


def versions() -> dict[str, str | None]:
    """Return the versions that are read in some milliseconds, for documents to be compared."""
    packages = ("numpy", "numba", "llvmlite")
    return {"Python": platform.python_version(), **{name: version(name) for name in packages}}


def version(package: str) -> str | None:
    """Return the version of an installed package; None if it is absent."""
    from importlib import metadata  # 20 ms that `--help` need not pay

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def numbers(package: str, unknown: tuple[int, ...]) -> tuple[int, ...]:
    """Return the first numbers of a package's version, at most as many as in ``unknown``.

    The result is ``unknown`` itself if there is no such version.
    """
    known = (version(package) or "").split(".")[: len(unknown)]
    return tuple(map(int, known)) if all(map(str.isdecimal, known)) else unknown


def _llvm() -> tuple[str | None, str | None]:
    try:
        from llvmlite import binding
    except Exception:  # noqa: BLE001  # absent, or broken in a way of its own: unknown
        return None, None
    version = ".".join(map(str, binding.llvm_version_info))
    try:
        return version, binding.get_host_cpu_name() or None
    except RuntimeError:
        return version, None


def _model() -> Model | None:
    try:
        from convprof.codegen.scheduling import model
    except (ImportError, OSError):
        return None
    return model()


def numba_settings() -> dict[str, str]:
    """Return the settings in force that make numba's code differ from what it usually is."""
    try:
        from convprof.codegen import numba_setup

        numba_setup.load()
    except (ImportError, OSError, ConvprofError):
        return {}
    return numba_setup.deviations()


def _threading_layers() -> tuple[str, ...]:
    """Load each layer's library without starting its threads."""
    try:
        from numba.core import config as numba_config
    except Exception:  # noqa: BLE001  # as above
        return ()
    config: Any = numba_config
    order = [str(name) for name in config.THREADING_LAYER_PRIORITY]
    if config.THREADING_LAYER in _LAYER_MODULES:  # the user chose exactly one
        order = [config.THREADING_LAYER]
    with affinity.restored():  # the layer of OpenMP binds this thread under OMP_PROC_BIND
        return tuple(name for name in order if _layer_loads(name))


def _layer_loads(name: str) -> bool:
    try:
        if name == "tbb":
            parallel: Any = importlib.import_module("numba.np.ufunc.parallel")
            # numba refuses an old TBB only here, long after its module has loaded.
            parallel._check_tbb_version_compatible()  # noqa: SLF001
        importlib.import_module(f"numba.np.ufunc.{_LAYER_MODULES[name]}")
    except (ImportError, OSError, KeyError, AttributeError):
        return False
    return True


def blas() -> Blas | None:
    """Return the library behind NumPy's matrix product; None if it is not known."""
    try:
        import numpy as np  # noqa: F401 -- loads the library to look for
        from threadpoolctl import threadpool_info

        pools: list[dict[str, Any]] = threadpool_info()
    except (ImportError, OSError, RuntimeError):
        return None
    libraries = [pool for pool in pools if pool.get("user_api") == "blas"]
    # SciPy and PyTorch bring their own; NumPy's is next to NumPy in a wheel.
    libraries.sort(key=lambda pool: not _beside_numpy(str(pool.get("filepath", ""))))
    if not libraries:
        return _configured_blas()
    best = libraries[0]
    threads = best.get("num_threads")
    return Blas(
        name=str(best.get("internal_api", "unknown")),
        version=_text(best.get("version")),
        architecture=_text(best.get("architecture")),
        threads=threads if isinstance(threads, int) else None,
    )


def _beside_numpy(path: str) -> bool:
    return any(part in {"numpy", "numpy.libs"} for part in PurePath(path).parts)


def _configured_blas() -> Blas | None:
    """Ask NumPy's build: Apple's Accelerate does not show among the loaded libraries."""
    import numpy as np

    try:
        config: Any = np.show_config(mode="dicts")
        blas = config["Build Dependencies"]["blas"]
        return Blas(str(blas["name"]), _text(blas.get("version")), None, None)
    except (KeyError, TypeError, AttributeError):
        return None


def _text(value: object) -> str | None:
    return str(value) if value else None
