"""Compile published models from PyTorch exports, and time them against the libraries.

    python tests/benchmarks/compiled_models.py [--models resnet50,vit_b_16] [--threads 1,2]
        [--rounds 40] [--budget 0.07] [--folder FOLDER]

Needs torch, torchvision, onnx; onnxruntime and openvino take part where they are installed. Weights
are random: BatchNorm's statistics are drawn too, so that folding is not trivial. Each model is
exported by torch.onnx, compiled by convprof.compile, and its result is compared with PyTorch's:
max|y - y_torch| / max|y_torch| must be at most 1e-4. Then one call of each per round, in
shuffled order; times are medians, ratios are medians of the ratios within a round. Plans are stored
in FOLDER and read again by the next run.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch

import convprof

MODELS = ("resnet50", "mobilenet_v2", "efficientnet_b0", "vit_b_16")
LARGEST_ERROR = 1e-4
CALLS = 3


def models():
    """Return torchvision's models; its operators of detection are not needed."""
    try:
        import torchvision
    except RuntimeError:  # its library of operators does not fit this PyTorch
        for operator in ("nms", "qnms"):
            form = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{operator}", form)
        import torchvision
    return torchvision.models


def module(name):
    """Return a torchvision model with random weights, ready for inference."""
    torch.manual_seed(0)
    made = getattr(models(), name)(weights=None).eval()
    with torch.no_grad():
        for each in made.modules():
            if isinstance(each, torch.nn.BatchNorm2d):
                each.running_mean.normal_(0, 0.1)
                each.running_var.uniform_(0.5, 1.5)
                each.weight.uniform_(0.8, 1.2)
        for key, parameter in made.named_parameters():
            if key.endswith("bias") or parameter.abs().max() == 0:
                parameter.normal_(0, 0.02)
    return made


def exported(name, folder, x):
    """Return the path of the model's file, which is made unless it exists, and PyTorch's result."""
    made, path = module(name), folder / f"{name}.onnx"
    if not path.exists():
        torch.onnx.export(
            made, (x,), str(path), dynamo=False, input_names=["x"], output_names=["y"]
        )
    with torch.inference_mode():
        return path, made(x).numpy()


def compiled(path, threads, budget_s):
    """Return the compiled model, from a stored plan if there is one."""
    plan = path.with_suffix(f".{threads}.plan.json")
    start = time.perf_counter()
    if plan.exists():
        made, how = convprof.load(path, plan), "stored plan"
    else:
        made, how = convprof.compile(path, threads=threads, budget_s=budget_s), "measured plan"
        made.save(plan)
    print(f"  {how}: {time.perf_counter() - start:.1f} s, error {made.max_rel_error:.1e} (float64)")
    return made


def onnxruntime(path, threads):
    """Return the call of ONNX Runtime; None without the package."""
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda feeds: session.run(None, feeds)


def openvino(path, threads):
    """Return the call of OpenVINO in f32; None without the package."""
    try:
        import openvino
    except ImportError:
        return None
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    settings["INFERENCE_PRECISION_HINT"] = "f32"
    request = openvino.Core().compile_model(str(path), "CPU", settings).create_infer_request()
    return lambda feeds: request.infer(feeds, share_inputs=True, share_outputs=True)


def rounds_of(calls, feeds, rounds):
    """Return the seconds of every call of the inputs by name, in rounds of shuffled order."""
    order, seconds = list(calls), {name: [] for name in calls}
    for number in range(rounds + 2):  # two to warm up
        random.Random(number).shuffle(order)
        for name in order:
            time.sleep(0.06)  # threads of other libraries spin for 40 ms
            calls[name](feeds)
            start = time.perf_counter()
            for _ in range(CALLS):
                calls[name](feeds)
            if number >= 2:
                seconds[name].append((time.perf_counter() - start) / CALLS)
    return seconds


def report(seconds):
    """Print times and ratios; return the ratio of the fastest library over convprof."""
    ours, ratios = seconds["convprof"], {}
    for name, times in seconds.items():
        ratios[name] = statistics.median(a / b for a, b in zip(times, ours, strict=True))
        print(
            f"  {name:12} {1e3 * statistics.median(times):8.3f} ms  least {1e3 * min(times):8.3f}"
            f"  {ratios[name]:5.2f} x convprof"
        )
    return min((ratio for name, ratio in ratios.items() if name != "convprof"), default=None)


def main():
    """Run all models; return 1 if a result is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--budget", type=float, default=0.07)
    parser.add_argument("--folder", type=Path, default=Path("compiled-models"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    x = np.random.default_rng(0).standard_normal((1, 3, 224, 224), np.float32)
    wrong = 0
    for name in given.models.split(","):
        path, expected = exported(name, given.folder, torch.from_numpy(x))
        for threads in map(int, given.threads.split(",")):
            print(f"{name}, {threads} thread{'s' if threads > 1 else ''}")
            made = compiled(path, threads, given.budget)
            calls = {
                "convprof": lambda feeds, made=made: [made.run(feeds)["y"]],
                "onnxruntime": onnxruntime(path, threads),
                "openvino": openvino(path, threads),
            }
            calls = {key: call for key, call in calls.items() if call is not None}
            for key, call in calls.items():
                error = np.abs(call({"x": x})[0] - expected).max() / np.abs(expected).max()
                print(f"  {key:12} error {error:.1e} (PyTorch)")
                wrong += key == "convprof" and not error <= LARGEST_ERROR
            best = report(rounds_of(calls, {"x": x}, given.rounds))
            if best is not None:
                print(f"  convprof is {best:.2f} times as fast as the fastest library")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
