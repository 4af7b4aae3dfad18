"""Profile a Python program with torch.profiler from its import of torch to its end.

A copy of this file named ``sitecustomize.py`` is in a folder at the front of PYTHONPATH: Python
runs the copy at its start, before the program. The copy imports nothing of convprof, and runs the
``sitecustomize`` that it hides.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

FOLDER = "CONVPROF_TRACE_FOLDER"
"""The variable with the folder for traces."""
MODULE = "sitecustomize"


class _AfterTorch(importlib.abc.MetaPathFinder):
    """Starts the profiler after the first import of torch."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the module's own spec, whose loader also starts the profiler."""
        if fullname != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_profile(module: ModuleType) -> None:
            execute(module)
            with contextlib.suppress(Exception):  # a profiler never ends the program
                _profile(module)

        spec.loader.exec_module = execute_and_profile  # type: ignore[method-assign]
        return spec


def _profile(torch: Any) -> None:
    profiler = torch.profiler
    options: dict[str, Any] = {
        "activities": [profiler.ProfilerActivity.CPU],
        "record_shapes": True,
    }
    with contextlib.suppress(AttributeError, TypeError):  # versions that know one thread only
        config = torch._C._profiler._ExperimentalConfig  # noqa: SLF001
        options["experimental_config"] = config(profile_all_threads=True)
    profile = profiler.profile(**options)
    pid = os.getpid()
    running = True

    def stop() -> None:
        nonlocal running
        if not running or os.getpid() != pid:  # a process that was forked has no profiler
            return
        running = False
        with contextlib.suppress(Exception):
            profile.stop()
            profile.export_chrome_trace(str(Path(os.environ[FOLDER]) / f"trace-{pid}.json"))

    legacy = torch.autograd.profiler.profile
    prepare = legacy._prepare_trace  # noqa: SLF001  # where every profiler of torch begins

    def prepare_alone(*arguments: Any, **named: Any) -> Any:
        stop()  # there is one profiler at a time, and the program's own is more important
        return prepare(*arguments, **named)

    profile.start()
    atexit.register(stop)
    legacy._prepare_trace = prepare_alone  # noqa: SLF001


def _run_hidden(folder: str) -> None:
    """Run the ``sitecustomize`` that Python would have run without this one."""
    sys.path[:] = [path for path in sys.path if os.path.realpath(path) != folder]
    spec = importlib.machinery.PathFinder.find_spec(MODULE)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    spec.loader.exec_module(module)


if __name__ == MODULE and FOLDER in os.environ:
    sys.meta_path.insert(0, _AfterTorch())
    _run_hidden(os.path.realpath(Path(__file__).parent))
