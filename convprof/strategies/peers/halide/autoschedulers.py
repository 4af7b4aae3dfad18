"""The schedules that Halide's autoschedulers find: each is a plugin of the package."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convprof.errors import RefusedError
from convprof.strategies.peers.halide.sharing import pool_size

if TYPE_CHECKING:
    from convprof.strategies.peers.halide.algorithm import Nest

PLUGINS = {"Mullapudi2016": "mullapudi2016", "Li2018": "li2018", "Adams2019": "adams2019"}
"""Autoschedulers that schedule for CPUs, and their plugins; Anderson2021 is for GPUs only."""
OPTIONS = {"Adams2019": {"beam_size": "1"}}
"""A greedy search takes 3 to 6 s for a 3x3 convolution of 64 channels. A beam of 4 takes 20 to 30 s
and is not always better: 16 instead of 9 GFLOP/s in NCHW on two threads, 11 instead of 46 in NHWC
on one. The default is 32."""


@functools.cache
def loaded(plugin: str) -> None:
    """Load a plugin; ``RefusedError`` if this package lacks it."""
    from convprof.strategies.peers.package import load

    hl = load("halide")
    folder = Path(hl.install_dir())
    for name in (f"libautoschedule_{plugin}", f"autoschedule_{plugin}"):
        for place in ("lib64", "lib", "bin"):
            for suffix in (".so", ".dylib", ".dll"):
                path = folder / place / (name + suffix)
                if path.exists():
                    hl.load_plugin(str(path))
                    return
    raise RefusedError(f"this package of halide comes without the autoscheduler {plugin}")


def scheduled(nest: Nest, name: str, threads: int, target: Any) -> Any:
    """Let the autoscheduler schedule the nest, and return the pipeline to compile."""
    loaded(PLUGINS[name])
    hl, shape = nest.hl, nest.shape
    for parameter, form in zip(nest.inputs, (shape.x, shape.usual), strict=True):
        for index, extent in enumerate(reversed(form.shape(shape.sizes))):
            parameter.dim(index).set_estimate(0, extent)
    for axis in shape.y.order:
        nest.sums.set_estimate(nest.loops[axis], 0, shape.sizes[axis])
    pipeline = hl.Pipeline(nest.sums)
    options = {"parallelism": str(threads), **OPTIONS.get(name, {})}
    parameters = hl.AutoschedulerParams(name, options)
    try:
        schedule = pipeline.apply_autoscheduler(target, parameters)
    except hl.HalideError as error:
        text = " ".join(str(error).split())
        raise RefusedError(f"halide-{name.lower()} finds no schedule: {text}") from error
    pool = pool_size()
    if threads < pool and ".parallel(" in schedule.schedule_source:
        raise RefusedError(
            f"halide-{name.lower()} finds a parallel schedule only, for all {pool} threads of "
            f"Halide's pool: set HL_NUM_THREADS={threads} before the start"
        )
    return pipeline
