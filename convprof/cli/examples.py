"""Command lines for the help of each command. A test parses all of them."""

from __future__ import annotations

EXAMPLES: dict[str, dict[str, str]] = {
    "run": {
        "run resnet50:layer1.0.conv2": "Every strategy on one layer",
        "run mb1ic64ih56oc64kh3ph1 -s tiled,microkernel -t 1 --all": "Two strategies, every row",
        "run 'resnet50:layer1*' -s microkernel": "One strategy on several layers",
        "run 'model.onnx:*' --dry-run": "The layers of a file as descriptors",
        "run 512x512:512x512 --json result.json --phases": "A matrix product, kept in a file",
    },
    "compare layouts": {
        "compare layouts resnet50:layer1.0.conv2": "NCHW or NHWC for one layer",
        "compare layouts 'resnet50:layer*.conv2' -t 1": "A row per layer, and the total",
    },
    "compare peers": {
        "compare peers resnet50:layer1.0.conv2": "convprof against every installed library",
        "compare peers 'resnet50:*' -s auto,torch -t all": "Which layers does PyTorch win",
        "compare peers 'model.onnx:*' -s auto,onnxruntime": "Which layers ONNX Runtime wins",
    },
    "compare mixers": {
        "compare mixers --image 224": "Attention against convolutions on 14x14 tokens",
        "compare mixers --images 112,224,384": "How each grows with the image",
    },
    "roofline": {
        "roofline resnet50:layer1.0.conv2 -t 1": "What bounds each strategy",
        "roofline result.json --plot roofline.svg": "The same from a file, as a picture",
    },
    "ceilings": {
        "ceilings": "Peaks and bandwidths, from the store if they are there",
        "ceilings --again -t 1 --dtype f32": "Measure anew on one thread",
    },
    "sysinfo": {"sysinfo --json -": "All facts for another program"},
    "show": {
        "show result.json --all": "Every row of a saved result",
        "show result.json --markdown result.md": "The same as Markdown",
    },
    "network": {
        "network resnet50": "Layer by layer, and as a chain",
        "network resnet50 --plan": "Which strategy and layout for which layer",
        "network resnet50 -t 1,2,all": "Latency and throughput of threads and of streams",
    },
    "ladder conv": {"ladder conv resnet50:layer1.0.conv2": "From naive loops to the peak"},
    "ladder gemm": {"ladder gemm 512x512:512x512": "From naive loops to the peak"},
    "instructions": {"instructions": "Latency and throughput of what kernels are made of"},
    "strategies": {
        "strategies": "All strategies",
        "strategies mb1ic64ih56oc64kh5ph2": "Which strategies compute this, and why others do not",
    },
}
