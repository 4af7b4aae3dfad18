"""Documents of runs that never took place: a true time, noise, a clock, a machine."""

from __future__ import annotations

import copy
import json
import random

from convprof import stats
from convprof.studies import reading
from convprof.studies.compare.results_files import Side
from convprof.studies.show import Saved

PEAK = 1e11
FLOPS = 2 * 64 * 64 * 64
BRAND = "A CPU"


def problem(name=None, n=64):
    """Return a matrix product in JSON."""
    text = f"64x64:64x{n}" + (f'n"{name}"' if name else "")
    return {
        "kind": "gemm", "descriptor": text, "name": name, "m": 64, "n": n, "k": 64, "batch": 1,
    }  # fmt: skip


def timed(seconds, seed=0, noise=0.01, clock=3e9, peak=PEAK, **changes):
    """Return a measurement in JSON that takes about so long at 3 GHz: its cycles do not change."""
    draw = random.Random(seed)
    rounds = [seconds * 3e9 / clock * draw.lognormvariate(0, noise) for _ in range(25)]
    middle, (low, high) = stats.median(rounds), stats.median_interval(rounds)
    return {
        "problem": problem(), "strategy": "packed", "layout": None, "dtype": "f32", "threads": 1,
        "cache": "hot", "status": "ok", "reason": None,
        "time_s": {
            "median": middle, "mad": 0.0, "ci95_low": low, "ci95_high": high, "min": min(rounds),
            "samples": 25, "calls_per_sample": 1, "rounds_s": list(stats.compact(rounds)),
        },
        "cycles": {
            "per_call": middle * clock, "per_flop": middle * clock / FLOPS, "source": "calibrated",
            "core_hz": clock,
        },
        "flops": {"direct": FLOPS, "executed": FLOPS}, "flop_per_s": FLOPS / middle,
        "peak_fraction": FLOPS / middle / (peak * clock / 3e9), "bytes_min": 3 * 4 * 64 * 64,
        "bytes_moved": 3 * 4 * 64 * 64, "bound": "compute", "max_rel_error": 0.0, "doubt": None,
    } | changes  # fmt: skip


def document(*measurements, key="0123456789ab", brand=BRAND, load=0.0, **changes):
    """Return a result document in JSON."""
    return {
        "schema_version": 2, "kind": "result", "tool_version": "1.0",
        "machine": {"key": key, "brand": brand, "physical_cores": 2, "logical_cpus": 2},
        "state": {"core_hz": None, "others_share": load}, "ceilings": {"peaks": []},
        "settings": {"isa": "native", "versions": {"numba": "0.62"}}, "networks": [],
        "measurements": list(measurements), "comparisons": [], "interrupted": False,
    } | changes  # fmt: skip


def side(*documents, name="side"):
    """Return the side whose files are these documents."""
    read = [reading.document(json.loads(json.dumps(d))) for d in documents]
    return Side(name, tuple(Saved(f"{name}{at}.json", made) for at, made in enumerate(read)))


def without_rounds(made):
    """Return the document as version 1 would have written it, but for the comparisons."""
    old = copy.deepcopy(made)
    old["schema_version"] = 1
    del old["kind"]
    for measurement in old["measurements"]:
        measurement["time_s"].pop("rounds_s", None)
    return old
