"""Command lines for the help of each command. A test parses all of them."""

from __future__ import annotations

EXAMPLES: dict[str, dict[str, str]] = {
    "run": {
        "run resnet50:layer1.0.conv2": "Every strategy on one layer",
        "run mb1ic64ih56oc64kh3ph1 -s tiled,microkernel -t 1 --all": "Two strategies, every row",
        "run 'resnet50:layer1*' -s microkernel": "One strategy on several layers",
        "run 'model.onnx:*' --dry-run": "The layers of a file as descriptors",
        "run attention:1x12x128x64:causal": "Attention with a mask; :keys and :pairs have others",
        "run attention:1x32x1x128:kv8x1024": "One query of each head, 1,024 keys in 8 heads",
        "run 512x512:512x512 --json result.json --phases": "A matrix product, kept in a file",
        "run 512x512:512x512 -s auto,torch --isolate libraries": "A crash of PyTorch is a row",
    },
    "compare layouts": {
        "compare layouts resnet50:layer1.0.conv2": "NCHW or NHWC for one layer",
        "compare layouts 'resnet50:layer*.conv2' -t 1": "A row per layer, and the total",
    },
    "compare peers": {
        "compare peers resnet50:layer1.0.conv2": "convprof against every installed library",
        "compare peers 'resnet50:*' -s auto,torch -t all": "Which layers does PyTorch win",
        "compare peers 'model.onnx:*' -s auto,onnxruntime": "Which layers ONNX Runtime wins",
        "compare peers --gemm 1x4096x4096 --weight-dtype uint4": "Weights of 4 bits in libraries",
        "compare peers 3x3:3x3 -s auto,jax --isolate none": "All in one process, to see a crash",
    },
    "compare dtypes": {
        "compare dtypes 64x768:768x768": "Which type pays for a linear layer",
        "compare dtypes resnet50 -t 1": "Each layer of a network, and all together",
        "compare dtypes 1x768:768x768 4x768:768x768 16x768:768x768 -t 1": "From how many rows",
    },
    "compare mixers": {
        "compare mixers --image 224": "Attention against convolutions on 14x14 tokens",
        "compare mixers --images 112,224,384": "How each grows with the image",
    },
    "compare results": {
        "compare results base.json new.json": "What changed since the base was measured",
        "compare results base.json new.json --fail-on slower:3%": "A gate: exit code 4 if slower",
        "compare results base/ 'new/*.json' --all": "All rows of two folders of results",
        "compare results last~1 last": "The two newest runs that --save kept",
    },
    "compare commands": {
        "compare commands resnet50:layer1.0.conv2 -s torch --python old --python new": (
            "Two versions of PyTorch, in two virtual environments"
        ),
        "compare commands 512x512:512x512 -s blas -t 1 --processes 5 --python old --python new": (
            "Two versions of NumPy and its BLAS, in five processes of each"
        ),
        "compare commands 'resnet50:*' --python old --python new --fail-on slower:5%": (
            "A gate for a new version: exit code 4 if slower"
        ),
        "compare commands --command 'python old.py' --command 'python new.py'": (
            "Two whole programs, from start to end"
        ),
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
        "show result.json --match layer1 --top 3 --plot layer1.svg": "Some problems, as a picture",
        "show study.json --report study.html": "A page of a study, a diagnosis, a history, ...",
    },
    "history": {
        "history": "All problems that were measured with --save",
        "history resnet50:layer1.0.conv2 --plot history.svg": "One problem over time, as a picture",
        "history --forget main~3": "Remove a saved run",
        "history --older 90d": "Remove all runs that are older",
    },
    "network": {
        "network resnet50": "Layer by layer, and as a chain",
        "network resnet50 --plan": "Which strategy and layout for which layer",
        "network model.onnx --output boxes --output scores": "These results of an ONNX file",
        "network resnet50 -t 1,2,all": "Latency and throughput of threads and of streams",
    },
    "ladder conv": {"ladder conv resnet50:layer1.0.conv2": "From naive loops to the peak"},
    "ladder gemm": {"ladder gemm 512x512:512x512": "From naive loops to the peak"},
    "instructions": {"instructions": "Latency and throughput of what kernels are made of"},
    "strategies": {
        "strategies": "All strategies",
        "strategies --dtype bf16": "Strategies that compute a type",
        "strategies mb1ic64ih56oc64kh5ph2": "Which strategies compute this, and why others do not",
    },
    "compare": {
        "compare peers resnet50:layer1.0.conv2": "convprof against every installed library",
        "compare layouts 'resnet50:layer*.conv2'": "NCHW against NHWC, a row per layer",
    },
    "ladder": {
        "ladder gemm 512x512:512x512": "What each idea brings for a product",
        "ladder conv resnet50:layer1.0.conv2 --why": "The same for a convolution, with reasons",
    },
    "explain": {
        "explain conv": "One output computed by hand",
        "explain im2col resnet50:layer1.0.conv2": "The patch matrix of a layer, and its size",
        "explain cycles": "From one multiply-add to the peak of this machine",
    },
    "explain attention": {"explain attention": "Queries, keys and values of a 3x3 image"},
    "explain backward": {"explain backward": "Gradients by hand, against finite differences"},
    "explain channels": {"explain channels": "A digit through two layers and pooling"},
    "explain conv": {"explain conv mb1ic2ih6oc2kh3sh2ph1": "One output with stride and padding"},
    "explain cycles": {"explain cycles": "Latency, lanes, ports and cores, measured here"},
    "explain im2col": {"explain im2col mb1ic2ih5oc2kh3": "The patch matrix of a small image"},
    "explain layout": {"explain layout resnet50:layer1.0.conv2": "Cache lines in both layouts"},
    "explain tile": {"explain tile 512x512:512x512": "Loads of register and cache tiles"},
    "explain winograd": {"explain winograd": "A tile through the transforms"},
    "study": {
        "study unroll": "How many independent sums hide the latency",
        "study threads -t all": "Which product is large enough for threads",
    },
    "study fma": {"study fma": "Fused multiply-adds against two instructions"},
    "study layout": {"study layout": "NCHW against NHWC, and strides"},
    "study simd": {"study simd --dtype f64": "What each width of vectors brings"},
    "study threads": {
        "study threads -t all": "What a launch costs, which product pays for it",
        "study threads resnet50:layer1.0.conv2 --cores 32": "What 32 cores will bring for a layer",
        "study threads resnet50 --cores 128": "Which layers of a network hold 128 cores back",
    },
    "study tile": {"study tile --plot tile.svg": "The rate over the sizes of a tile, as a picture"},
    "study unroll": {"study unroll --isa avx2": "Sums and steps with 16 registers"},
    "sweep": {
        "sweep gemm": "FLOP/s over the size",
        "sweep conv resnet50:layer1.0.conv2 --over batch": "Does a layer gain from a larger batch",
    },
    "sweep conv": {
        "sweep conv resnet50:layer1.0.conv2 --over batch --range 1:32:x2 -s auto": (
            "Does a layer gain from a larger batch"
        ),
        "sweep conv --over channels --json channels.jsonl": "A file that a later run continues",
    },
    "sweep gemm": {
        "sweep gemm --over size --range 32:1024:x2 -s packed,blas": "Two strategies over the size",
        "sweep gemm 512x512:512x512 --over threads --range 1,2 -s packed": "One over the threads",
    },
    "fleet": {
        "fleet run resnet50 --scheduler tls://10.0.0.1:8786 --json fleet.jsonl": "Many hosts",
        "fleet sweep 512x512:512x512 --spread --workers 2 --json points.jsonl": "Share a sweep",
        "fleet table fleet.jsonl": "Which host is the fastest",
    },
    "fleet run": {
        "fleet run 'resnet50:layer1*' --workers 2 --json fleet.jsonl": "Try it on this machine",
        "fleet run resnet50 -s auto -t all --scheduler tcp://10.0.0.1:8786 --hosts 3 "
        "--json fleet.jsonl": "Three hosts of a Dask scheduler",
    },
    "fleet sweep": {
        "fleet sweep 512x512:512x512 --spread --workers 2 --json points.jsonl": "Try it here",
        "fleet sweep resnet50:layer1.0.conv2 --over batch --range 1:64:x2 -s auto -t all --spread "
        "--scheduler tcp://10.0.0.1:8786 --hosts 4 --json points.jsonl": "Four identical hosts",
    },
    "fleet table": {
        "fleet table fleet.jsonl": "Which host is the fastest",
        "fleet table fleet.jsonl --price node1=0.34 --price node2=0.68": "Which costs the least",
    },
    "show-features": {
        "show-features": "A photograph through filters, a first layer and attention",
        "show-features cat.png -o cat.svg": "A picture of your own",
    },
    "cache": {
        "cache": "What is stored, and where",
        "cache --clear choices": "Let auto choose anew",
    },
}
