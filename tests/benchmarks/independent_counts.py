"""Count parameters and MACs of ONNX files without convprof's importer, and compare the totals.

    python tests/benchmarks/independent_counts.py [FILE_OR_FOLDER ...]
        [--torchvision resnet50,segmentation.fcn_resnet50] [--folder FOLDER]

Without names: the models for tests that the onnx package has. The independent count knows the
file's nodes and the onnx package's shape inference only. A parameter is a number of a constant that
a node multiplies or adds, or of a table whose rows it looks up, with more than one element;
statistics of a batch norm are none, nor are masks of scores, whole numbers, sines and cosines. A
MAC is one of a convolution, a product or a recurrent layer, as written; of a transposed
convolution, of its pixels. Prints a line for every file whose totals differ, and how many files are
accepted and agree.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
from onnx import numpy_helper, shape_inference

from convprof.errors import ConvprofError
from convprof.networks.onnx.load import load_usual
from convprof.networks.summary import summarise

LEARNED = {
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm", "LayerNormalization"), (1, 2)),
    **dict.fromkeys(("BatchNormalization", "InstanceNormalization"), (1, 2)),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), (1, 2, 3)),
    **dict.fromkeys(("Add", "Div", "Max", "MatMul", "Mean", "Min", "Mul", "Sub", "Sum"), range(9)),
    "Concat": range(99),
    "Gather": (0,),
    "PRelu": (1,),
    "RMSNormalization": (1,),
}
"""By operator, the inputs that are learned where they are constants."""
SAME = {
    "Cast", "DequantizeLinear", "Expand", "Identity", "Reshape", "Squeeze", "Transpose",
    "Unsqueeze",
}  # fmt: skip
"""Operators whose result is the same tensor, if it is a constant."""


WEIGHTS = ("ConstantOfShape", "EyeLike")
WHOLE = (onnx.TensorProto.INT32, onnx.TensorProto.INT64, onnx.TensorProto.BOOL)
FEW = 4096
"""Whole numbers of a tensor that may decide about shapes."""


class Count:
    """The nodes of a file that its real outputs depend on, and their shapes."""

    def __init__(self, path, shapes, outputs):
        self.model = onnx.load(str(path))
        graph = self.model.graph
        self.tensors = {each.name: each for each in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.tensors[node.output[0]] = node.attribute[0].t
        self.sizes = {name: tuple(each.dims) for name, each in self.tensors.items()}
        for value in graph.input:
            if value.name in shapes:
                dims = value.type.tensor_type.shape.dim
                for dim, size in zip(dims, shapes[value.name], strict=True):
                    dim.dim_value = size
        self.roots = {name: name for name in self.tensors}
        self.fixed = set()
        self._infer()
        self.nodes = self._needed(set(outputs))
        for node in self.nodes:
            self._follow(node)

    def _infer(self):
        """Infer the shapes; again, while numbers that decide about others become known by them."""
        known = {}
        while True:
            inferred = shape_inference.infer_shapes(self.model, data_prop=True).graph
            for value in (*inferred.input, *inferred.value_info, *inferred.output):
                dims = value.type.tensor_type.shape.dim
                self.sizes[value.name] = tuple(dim.dim_value for dim in dims)
            count = len(known)
            for node in self.model.graph.node:
                self._evaluate(node, known)
            if len(known) == count:
                self.sizes |= {name: array.shape for name, array in known.items()}
                self.roots |= {name: name for name in known}
                return
            # As tensors of the file, so that the inference sees the numbers.
            left = [node for node in self.model.graph.node if node.output[0] not in known]
            given = {tensor.name for tensor in self.model.graph.initializer}
            self.model.graph.initializer.extend(
                numpy_helper.from_array(array, name)
                for name, array in known.items()
                if name not in given
            )
            del self.model.graph.node[:]
            self.model.graph.node.extend(left)

    def _evaluate(self, node, known):
        """Compute a node of few whole numbers that are known."""
        size = self.sizes.get(node.input[0], ()) if node.input else ()
        if node.op_type == "Shape" and size and 0 not in size:
            bounds = {each.name: each.i for each in node.attribute}
            part = size[bounds.get("start") : bounds.get("end")]
            known[node.output[0]] = np.array(part, np.int64)
            return
        arrays = [known.get(name, self._few(name)) for name in node.input if name]
        whole = [array is not None and array.dtype.kind in "ib" for array in arrays]
        if arrays and all(whole) and node.op_type not in WEIGHTS and len(node.output) == 1:
            feeds = dict(zip(filter(None, node.input), arrays, strict=True))
            (known[node.output[0]],) = onnx.reference.ReferenceEvaluator(node).run(None, feeds)

    def _few(self, name):
        tensor = self.tensors.get(name)
        if tensor is None or math.prod(tensor.dims) > FEW:
            return None
        return numpy_helper.to_array(tensor)

    def _needed(self, names):
        needed = []
        for node in reversed(self.model.graph.node):
            if names.intersection(node.output):
                names.update(node.input)
                needed.append(node)
        return needed[::-1]

    def _follow(self, node):
        """Note what a node makes of constants: the same tensor, or another constant."""
        if node.op_type == "Constant":
            (value,) = node.attribute
            if value.name == "value":
                self.tensors[node.output[0]] = value.t
                self.sizes[node.output[0]] = tuple(value.t.dims)
            self.roots[node.output[0]] = node.output[0]
        elif node.input and all(name in self.roots for name in node.input if name):
            root = self.roots[node.input[0]] if node.op_type in SAME else node.output[0]
            fixed = all(self._is_fixed(name) for name in node.input if name)
            for name in node.output:
                self.roots[name] = root
                if node.op_type in ("Cos", "Sin") or (fixed and node.op_type not in WEIGHTS):
                    self.fixed.add(name)

    def _is_fixed(self, name):
        """Whether no training has changed a constant: whole numbers, one number, positions."""
        tensor = self.tensors.get(name)
        whole = tensor is not None and tensor.data_type in WHOLE
        return whole or name in self.fixed or math.prod(self.sizes.get(name, (0,))) == 1

    def _is_mask(self, name):
        """Whether a tensor of the file is 0 or very low for every pair of tokens."""
        tensor, size = self.tensors.get(name), self.sizes.get(name, ())
        if tensor is None or size[-1:] != size[-2:-1] or math.prod(size) == 1:
            return False
        numbers = numpy_helper.to_array(tensor)
        return bool(((numbers == 0) | (numbers <= -1e4)).all() and numbers.any())

    def parameters(self):
        """Return the elements of all learned constants, each once."""
        learned = {}
        for node in self.nodes:
            if all(name in self.roots for name in node.input if name):
                continue
            for place in LEARNED.get(node.op_type, ()):
                name = node.input[place] if place < len(node.input) else ""
                if name in self.roots and self._is_learned(node, name):
                    learned[self.roots[name]] = math.prod(self.sizes[self.roots[name]])
        return sum(learned.values())

    def _is_learned(self, node, name):
        tensor = self.tensors.get(self.roots[name])
        layer = node.op_type not in ("Add", "Div", "Max", "Mean", "Min", "Mul", "Sub", "Sum")
        if node.op_type == "Gemm" and math.prod(self.sizes[name]) == 1:
            return False  # exporters add a zero
        whole = tensor is not None and tensor.data_type in WHOLE
        if whole or name in self.fixed or self._is_mask(self.roots[name]):
            return False
        real = tensor is None or numpy_helper.to_array(tensor).dtype.kind in "fiV"
        return real and (layer or math.prod(self.sizes[name]) > 1)

    def macs(self):
        """Return the multiply-accumulates of all nodes."""
        return sum(self._macs(node) for node in self.nodes)

    @property
    def is_transposed(self):
        """Whether there is a transposed convolution."""
        return any(node.op_type == "ConvTranspose" for node in self.nodes)

    def _macs(self, node):
        if all(name in self.roots for name in node.input if name):
            return 0
        sizes = [self.sizes.get(name, ()) for name in node.input]
        result = self.sizes.get(node.output[0], ())
        if node.op_type in ("Conv", "ConvTranspose"):
            moved = result if node.op_type == "Conv" else sizes[0]
            return math.prod(moved) * math.prod(sizes[1][1:])
        if node.op_type in ("Gemm", "MatMul"):
            turned = any(each.name == "transA" and each.i for each in node.attribute)
            return math.prod(result) * sizes[0][0 if turned else -1]
        if node.op_type in ("GRU", "LSTM", "RNN"):
            return math.prod(sizes[0][:2]) * (math.prod(sizes[1]) + math.prod(sizes[2]))
        return 0


def exported(names, folder):
    """Yield the paths of torchvision's models, exported once."""
    import compiled_models
    import torch

    for name in names:
        path = folder / f"{name}.onnx"
        if not path.exists():
            family = compiled_models.models()
            for part in name.split(".")[:-1]:
                family = getattr(family, part)
            more = {"weights_backbone": None} if "." in name else {}
            module = getattr(family, name.split(".")[-1])(weights=None, **more).eval()
            for parameter in module.parameters():  # the exporter merges equal ones
                parameter.data.normal_()
            x = torch.zeros(1, 3, 224, 224)
            torch.onnx.export(module, (x,), str(path), dynamo=False, input_names=["x"])
        yield path


def compared(path, tally):
    """Compare the totals of one file; return the line of a difference."""
    try:
        read = load_usual(path, 1)
    except ConvprofError as error:
        tally["refused"] += 1
        return f"refused  {path.parent.name}/{path.name}: {str(error).partition(': ')[2][:150]}"
    ours = summarise(read.network).total
    count = Count(path, read.inputs.shapes, read.outputs.shapes)
    theirs = count.parameters(), count.macs()
    tally["accepted"] += 1
    if (ours.parameters, ours.macs) == theirs:
        tally["equal"] += 1
        tally["macs"] += ours.macs > 0
        return ""
    if count.is_transposed and ours.parameters == theirs[0] and ours.macs > theirs[1]:
        tally["transposed"] += 1  # by results, of which padding removes some, not by pixels
        return ""
    return (
        f"differs  {path.parent.name}/{path.name}: {ours.parameters} parameters and {ours.macs} "
        f"MACs here, {theirs[0]} and {theirs[1]} by the independent count"
    )


def main():
    """Compare all files; return 1 if totals differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", type=Path)
    parser.add_argument("--torchvision", default="")
    parser.add_argument("--folder", type=Path, default=Path())
    asked = parser.parse_args()
    data = Path(onnx.__file__).parent / "backend" / "test" / "data"
    names = asked.names or ([] if asked.torchvision else [data])
    paths = [path for name in names for path in (sorted(name.rglob("*.onnx")) or [name])]
    if asked.torchvision:
        paths += exported(asked.torchvision.split(","), asked.folder)
    tally = Counter()
    for path in paths:
        line = compared(path, tally)
        print(line, end="\n" if line else "")
    accepted, equal, transposed = (tally[key] for key in ("accepted", "equal", "transposed"))
    print(
        f"{len(paths)} files: {accepted} accepted, {equal} with equal totals, "
        f"{tally['macs']} of these with MACs; {transposed} with transposed convolutions have more, "
        "for results that padding removes"
    )
    return int(accepted != equal + transposed)


if __name__ == "__main__":
    sys.exit(main())
