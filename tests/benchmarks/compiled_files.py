"""Compile ONNX files, and time them against ONNX Runtime and OpenVINO on the same inputs.

    python tests/benchmarks/compiled_files.py FILE.onnx ... [--input FILE.npz] [--threads 1,2]
        [--rounds 40] [--budget 0.07]

For models with any inputs, such as ids of tokens. Without --input, the inputs are drawn as
convprof draws them. Results are compared with ONNX Runtime's: max|y - y_ort| / max|y_ort| must be
at most 1e-4. Times are as in compiled_models.py, and plans are stored next to the files. Needs
torch too, for the imports of that script.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from compiled_models import LARGEST_ERROR, compiled, openvino, report, rounds_of
from compiled_models import onnxruntime as runtime

from convprof.measure.operands import normal_input
from convprof.networks.onnx import load

TYPES = {"tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": np.bool_}


def feeds_of(path, archive):
    """Return the inputs of a file by name: of an archive, or drawn, in the types of the file."""
    imported = load(path, {})
    arrays = imported.inputs.split(normal_input(imported.network, 0))
    if archive is not None:
        with np.load(archive) as stored:
            arrays = {name: stored[name] for name in arrays}
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    types = {each.name: TYPES.get(each.type, np.float32) for each in session.get_inputs()}
    return {name: np.ascontiguousarray(array, types[name]) for name, array in arrays.items()}


def main():
    """Run all files; return 1 if a result is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--input", type=Path)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--budget", type=float, default=0.07)
    asked = parser.parse_args()
    wrong = 0
    for path in asked.files:
        feeds = feeds_of(path, asked.input)
        for threads in map(int, asked.threads.split(",")):
            print(f"{path.name}, {threads} threads")
            model = compiled(path, threads, asked.budget)
            calls = {
                "convprof": model.run,
                "onnxruntime": runtime(path, threads),
                "openvino": openvino(path, threads),
            }
            calls = {name: call for name, call in calls.items() if call is not None}
            results = calls["onnxruntime"](feeds)
            for y, expected in zip(model.run(feeds).values(), results, strict=True):
                error = np.abs(y - expected).max() / np.abs(expected).max()
                wrong += not error <= LARGEST_ERROR
                print(f"  error against onnxruntime {error:.1e}")
            report(rounds_of(calls, feeds, asked.rounds))
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
