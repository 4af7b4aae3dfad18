from __future__ import annotations

from pathlib import Path

import pytest

from convprof.logs.operation import Call, Operation, Span
from convprof.studies.diagnose.study import Diagnosis
from convprof.studies.diagnose.timeline import Recorder

DATA = Path(__file__).parents[2] / "data" / "logs"
RELU = Operation("PyTorch", "aten::relu", "1x8", "f32")


def test_calls_with_time_stamps_begin_where_the_log_says():
    recorder = Recorder()
    recorder.add(Call(RELU, 1.0, "execution", Span(12.0, 3.0, "thread 2")))
    recorder.add(Call(RELU, 1.0, "execution", Span(10.0, 5.0, "thread 1")))
    (track,) = recorder.tracks([], {})
    assert [(e.thread, e.begin_s, e.seconds) for e in track.events] == [
        ("thread 1", 0.0, 5.0),
        ("thread 2", 2.0, 3.0),
    ]


def test_calls_without_time_stamps_follow_one_another_by_library():
    other = Operation("MKL", "SGEMM", "1x8")
    recorder = Recorder()
    for operation in (RELU, other, RELU):
        recorder.add(Call(operation, 2.0, "execution"))
    tracks = recorder.tracks([], {})
    assert [(t.name, [e.begin_s for e in t.events]) for t in tracks] == [
        ("PyTorch", [0.0, 2.0]),
        ("MKL", [0.0]),
    ]


def test_calls_beyond_a_number_are_counted():
    recorder = Recorder(most=2)
    for _ in range(5):
        recorder.add(Call(RELU, 1.0, "execution"))
    (track,) = recorder.tracks([], {})
    assert (len(track.events), track.left_out) == (2, 3)


@pytest.mark.parametrize("name", ["resnet18-torch-cl.json.gz", "resnet18-ort.json.gz",
                                  "resnet18-nchw.log.gz"])  # fmt: skip
def test_real_logs(machine_of, name):
    study = Diagnosis([str(DATA / name)], machine_of(1e11), 1, timeline=True)
    for step in (*study.reading(), *study.ceilings()):
        assert step
    tracks = study.tracks()
    assert sum(len(track.events) for track in tracks) == study.log.calls
    for track in tracks:
        begins = [event.begin_s for event in track.events]
        assert begins == sorted(begins)
        assert begins[0] == 0.0
    shares = [e.peak_fraction for t in tracks for e in t.events if e.peak_fraction is not None]
    assert shares
    assert Diagnosis([str(DATA / name)], machine_of(1e11), 1).tracks() == []


def test_a_stamp_of_onednn_is_the_begin(tmp_path, machine_of):
    line = "onednn_verbose,v1,{},primitive,exec,cpu,relu,x,y,,,,,1x2,{}\n"
    path = tmp_path / "log"
    path.write_text(line.format("1000.5", 2) + line.format("1010.5", 4))
    study = Diagnosis([str(path)], machine_of(1e11), 1, timeline=True)
    assert list(study.reading())
    (track,) = study.tracks()
    assert [(e.begin_s, e.seconds) for e in track.events] == [
        (0.0, pytest.approx(2e-3)),
        (pytest.approx(10e-3), pytest.approx(4e-3)),
    ]
