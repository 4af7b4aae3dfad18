from __future__ import annotations

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from convprof.render import timeline
from convprof.studies.timeline import TimelineEvent, Track


def event(name, begin, seconds, share=None, *, thread="thread 1", **details):
    return TimelineEvent(name, thread, begin, seconds, share, tuple(details.items()))


def events(*tracks):
    document = json.loads("".join(timeline.to_json(tracks)))
    assert document["displayTimeUnit"] == "ms"
    return document["traceEvents"]


def rows(found, process):
    """Return the name of the row and of the event, begin and duration, of one process."""
    names = {
        e["tid"]: e["args"]["name"]
        for e in found
        if e["name"] == "thread_name" and e["pid"] == process
    }
    return [
        (names[e["tid"]], e["name"], e["ts"], e["dur"])
        for e in found
        if e["ph"] == "X" and e["pid"] == process
    ]


def test_a_row_per_thread_and_a_row_per_operation():
    track = Track("chain", [
        event("conv", 0.0, 1e-3, thread="thread 1"),
        event("conv", 0.0, 1e-3, thread="thread 2"),
        event("relu", 1e-3, 2e-3, thread="thread 1"),
        event("relu", 1e-3, 2e-3, thread="thread 2"),
    ])  # fmt: skip
    found = events(track)
    assert rows(found, 1) == [
        ("thread 1", "conv", 0, 999.999), ("thread 2", "conv", 0, 999.999),
        ("thread 1", "relu", 1000, 1999.999), ("thread 2", "relu", 1000, 1999.999),
    ]  # fmt: skip
    assert rows(found, 2) == [("conv", "conv", 0, 999.999), ("relu", "relu", 1000, 1999.999)]


@given(st.lists(st.floats(0, 1e-3), min_size=2, max_size=30))
@example([1.0870960031752475e-3, 1.4968250252422877e-4, 2.7097162001155084e-2, 2.39785950e-2])
@settings(max_examples=30)
def test_events_one_after_another_do_not_overlap_in_whole_nanoseconds(durations):
    track, now = Track("chain"), 0.0
    for seconds in durations:
        track.events.append(event("conv", now, seconds))
        now += seconds
    end = 0
    for _, _, ts, dur in rows(events(track), 1):
        begin = int(1000 * ts)
        assert begin >= end
        end = begin + int(1000 * dur)


def test_the_share_of_the_peak_is_a_counter():
    track = Track("x", [
        event("a", 0.0, 1.0, 0.5), event("inside", 0.2, 0.1, 0.9), event("b", 1.0, 1.0, 0.25),
        event("relu", 2.0, 1.0), event("c", 3.0, 1.0, 1.2),
    ])  # fmt: skip
    counters = [(e["ts"] / 1e6, e["args"]["% of peak"]) for e in events(track) if e["ph"] == "C"]
    assert counters == [(0, 50), (1, 25), (2, 0), (3, 120), (4, 0)]


def test_operations_beyond_the_largest_share_a_row(monkeypatch):
    monkeypatch.setattr(timeline, "MOST_ROWS", 1)
    track = Track("x", [event("small", 0, 1), event("large", 1, 5), event("tiny", 6, 0.1)])
    others = "other operations"
    assert [row for row, *_ in rows(events(track), 2)] == [others, "large", others]


def test_details_and_strange_names_survive():
    track = Track('a "b"\n', [event("\x1b[2J</script>", 0, 1, layout="nhwc")], left_out=3)
    document = json.loads("".join(timeline.to_json([track])))
    assert document["otherData"] == {"left_out": 3}
    (first, _) = [e for e in document["traceEvents"] if e["ph"] == "X"]
    assert first["args"] == {"layout": "nhwc"}
    assert first["name"] == "\x1b[2J</script>"


def test_nothing():
    assert events() == []
    assert [e["ph"] for e in events(Track("x"))] == ["M", "M", "M"]
