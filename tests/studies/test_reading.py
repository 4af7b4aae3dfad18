"""Documents of strangers: refused in a sentence, or printed and written whole."""

from __future__ import annotations

import copy
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from convprof.errors import InputError
from convprof.render import export
from convprof.render.show.measurements import document_report
from convprof.studies import reading, show

CONV = {
    "kind": "conv2d", "descriptor": "mb1ic4ih6oc6kh3", "name": "net:conv1", "n": 1, "c": 4, "h": 6,
    "w": 6, "k": 6, "r": 3, "s": 3, "p": 4, "q": 4, "stride": [1, 1], "pad": [0, 0],
    "dilation": [1, 1], "groups": 1, "epilogue": "bias,relu",
}  # fmt: skip
ROW = {
    "problem": CONV, "strategy": "tiled", "layout": "nchw", "dtype": "f32", "threads": 1,
    "cache": "cold", "status": "ok", "reason": None, "isa": None,
    "time_s": {"median": 2e-6, "mad": 1e-8, "ci95_low": 1.9e-6, "ci95_high": 2.1e-6, "min": 1.8e-6,
               "samples": 25, "calls_per_sample": 4, "rounds_s": [2e-6, 1.9e-6]},
    "cycles": {"per_call": 7e3, "per_flop": 0.5, "source": "calibrated", "core_hz": 3.5e9},
    "flops": {"direct": 13824, "executed": 13824}, "flop_per_s": 6.9e9, "peak_fraction": 0.06,
    "tile_fraction": None,
    "bytes_min": 2304, "intensity": 6.0, "bytes_moved": 4000, "bound": "compute",
    "level": "L2", "bandwidth_fraction": 0.25,
    "phases": {"pad": 1e-7, "pack": 1e-7, "multiply": 1.8e-6}, "workspace_bytes": 512,
    "prepare_s": 1e-5, "compile_s": 0.1, "max_rel_error": 3e-7, "note": "in f32",
    "doubt": "its samples differ", "environment": None,
}  # fmt: skip
OTHER = {**ROW, "layout": "nhwc"}
LOST = {
    **dict.fromkeys(ROW),
    **{key: ROW[key] for key in ("problem", "layout", "dtype", "threads", "cache")},
    "strategy": "winograd",
    "status": "refused",
    "reason": "needs a 3x3 filter",
}
SIDE = {"strategy": "tiled", "threads": 1, "isa": None, "dtype": "f32"}
DOCUMENT = {
    "schema_version": 2, "kind": "result", "tool_version": "0.1.0",
    "machine": {"key": "0123456789ab", "brand": "A CPU", "simd": {"isa": "avx2", "bits": 256},
                "physical_cores": 2, "caches": []},
    "state": {"core_hz": {"median": 3e9, "min": 2e9, "max": 4e9}, "noise": []},
    "ceilings": {
        "peaks": [{"isa": "avx2", "bits": 256, "dtype": "f32", "threads": 1, "flop_per_s": 1e11,
                   "core_hz": 3e9, "flop_per_cycle": 32.0, "ports": 2, "fused": True,
                   "instruction": "", "burst_flop_per_s": None, "burst_hz": None,
                   "after_hz": None, "operands": "registers"}],
        "isa_peaks": None,
        "bandwidths": [{"level": "L1", "operation": "load", "threads": 1, "bytes_per_s": 1e11,
                        "working_set_bytes": 16384, "reason": None,
                        "burst_bytes_per_s": None}],
    },
    "settings": {"argv": ["run"], "seed": 0},
    "measurements": [ROW, OTHER, LOST],
    "comparisons": [{
        "kind": "layouts", "problem": CONV, "a": {**SIDE, "layout": "nhwc"},
        "b": {**SIDE, "layout": "nchw"}, "verdict": "undecided",
        "doubt": "its samples differ", "break_even": None,
        "ratio": 1.0, "ci95": [0.9, 1.1], "rounds": 25,
        "conversions": {"input_s": {"nchw": 1e-6, "nhwc": 1e-6},
                        "output_s": {"nchw": 1e-6, "nhwc": 1e-6}},
    }],
    "networks": [], "interrupted": False,
}  # fmt: skip


def shown(value):
    document = reading.document(value)
    show._check(document)
    out = io.StringIO()
    document_report(Console(file=out, width=200), document)
    for form in (export.to_csv, export.to_markdown):
        assert "".join(form(document))
    return json.loads("".join(export.to_json(document))), out.getvalue()


def shown_or_refused(document):
    """Return what is printed, or the sentence of the refusal; any other error is a fault."""
    try:
        return shown(document)[1]
    except InputError as error:
        return str(error)


def paths(value, way=()):
    """Yield the way to everything in a JSON value."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield (*way, key)
            yield from paths(item, (*way, key))


def test_nothing_is_lost():
    found, text = shown(DOCUMENT)
    assert found == DOCUMENT
    assert "tiled" in text
    assert "NHWC/NCHW" in text


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**40), 10**40),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(
        ["ok", "failed", "f64", "nchw", "conv2d", "gemm", "reorder", "\x1b[2J", {}, []]
    ),
    st.lists(st.integers(0, 3), max_size=3),
    st.dictionaries(st.sampled_from(["median", "strategy", "kind"]), st.integers(), max_size=2),
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(paths(DOCUMENT))), VALUES)
def test_any_value_of_a_field_is_refused_or_shown(way, value):
    document = copy.deepcopy(DOCUMENT)
    place = document
    for key in way[:-1]:
        place = place[key]
    place[way[-1]] = value
    assert "\x1b" not in shown_or_refused(document)


@pytest.mark.parametrize("way", list(paths(DOCUMENT)), ids=str)
def test_a_field_that_is_absent_is_unknown_or_refused(way):
    document = copy.deepcopy(DOCUMENT)
    place = document
    for key in way[:-1]:
        place = place[key]
    del place[way[-1]]
    assert "\x1b" not in shown_or_refused(document)


def with_rounds(rounds):
    return {**ROW, "time_s": {**ROW["time_s"], "rounds_s": rounds}}


@pytest.mark.parametrize("rounds", [[], [1.0] * 26, [0.0], ["1"], 1.0, {}])
def test_rounds_that_cannot_be_are_refused(rounds):
    with pytest.raises(InputError):
        reading.measurement(with_rounds(rounds))


def test_rounds_are_read_and_old_documents_have_none():
    assert reading.measurement(ROW).time_s.rounds_s == (2e-6, 1.9e-6)
    without = {key: value for key, value in ROW["time_s"].items() if key != "rounds_s"}
    assert reading.measurement({**ROW, "time_s": without}).time_s.rounds_s is None


@pytest.mark.parametrize("change", [{"keys": "9"}, {"key_heads": -1}, {"mask": ["causal"]}])
def test_keys_and_masks_of_attention_are_checked(change):
    sizes = {"batch": 1, "heads": 2, "tokens": 3, "dim": 4}
    attention = {"kind": "attention", "descriptor": "attention:1x2x3x4", "name": None, **sizes}
    reading.check_shown(attention)  # files of earlier versions have the sizes only
    reading.check_shown({**attention, "keys": 9, "key_heads": 1, "mask": "causal"})
    with pytest.raises(InputError):
        reading.check_shown({**attention, **change})
