"""A PyTorch module as a network: exported by PyTorch to an ONNX file, which is then read.

PyTorch has two exporters. The file with fewer opaque operations is taken.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.networks.onnx.load import load
from convprof.networks.onnx.names import plain
from convprof.problems.checks import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from convprof.networks.onnx.load import Imported

INPUT, OUTPUT = "x", "y"
USUAL = (1, 3, 224, 224)
"""The example input of a function that returns a module alone."""
_LONGEST = 300


def from_module(
    module: Any, example: Any, name: str = "module", output: str | None = None
) -> Imported:
    """Return the network that a module computes of inputs of the example's shape.

    The files of the export exist until the process ends. InputError with the exporter's reason
    where the module cannot be exported, or what ``load`` raises.
    """
    torch = _torch()
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"{shown(type(module).__name__)} is not a module of PyTorch")
    tensor = torch.as_tensor(example)
    networks: list[Imported] = []
    reasons: list[str] = []
    for path in _exports(module, tensor, name, reasons):
        try:
            networks.append(load(path, {}, output))
        except InputError as error:
            reasons.append(error.reason)
            continue
        if not _opaque(networks[-1]):
            break
    if not networks:
        raise InputError(f"{name}: {reasons[0]}")
    return min(networks, key=_opaque)


def _opaque(imported: Imported) -> int:
    return sum(node.op.is_opaque for node in imported.network.nodes)


def _torch() -> ModuleType:
    try:
        return importlib.import_module("torch")
    except ImportError:
        raise InputError("PyTorch modules need the package torch: pip install torch") from None


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Return the folder of this process's exports, which is deleted at its end."""
    return tempfile.TemporaryDirectory(prefix="convprof-")


def _exports(module: Any, example: Any, name: str, reasons: list[str]) -> Iterator[Path]:
    """Export by one exporter after the other; append the reason of each that cannot do it."""
    torch = _torch()
    was_training = module.training
    for dynamo in (False, True):
        path = Path(tempfile.mkdtemp(dir=_folder().name)) / f"{plain(name) or 'module'}.onnx"
        try:
            with warnings.catch_warnings(), torch.inference_mode():
                warnings.simplefilter("ignore")
                module.eval()
                torch.onnx.export(
                    module, (example,), str(path), dynamo=dynamo, input_names=[INPUT],
                    **({"verbose": False} if dynamo else {}),
                )  # fmt: skip
        except Exception as error:  # noqa: BLE001  # exporters and the module raise what they like
            reasons.append(f"PyTorch cannot export it: {_first_line(error)}")
            continue
        finally:
            module.train(was_training)
        yield path


def _first_line(error: BaseException) -> str:
    text = " ".join(str(error).split())[:_LONGEST]
    kind = type(error).__name__
    return f"{kind}: {text if text.isprintable() else shown(text)}" if text else kind


# A function in a script of the user's, which is run because the user names it.


def from_script(path: str, function: str, output: str | None = None) -> Imported:
    """Run a Python script, call a function in it, and return the network of the result.

    The function returns a module of PyTorch, or the module and an example input. InputError in one
    line where the script or the function raises, or returns something else.
    """
    result = _called(path, function)
    is_pair = isinstance(result, tuple) and len(result) == len(("module", "example"))
    module, example = result if is_pair else (result, None)
    torch = _torch()
    if not isinstance(module, torch.nn.Module):
        raise InputError(
            f"{path}: {function}() returned {shown(type(module).__name__)}; it must return a "
            "module of PyTorch, or a module and an example input"
        )
    example = torch.zeros(USUAL) if example is None else example
    return from_module(module, example, function, output)


def _called(path: str, function: str) -> Any:
    file = Path(path)
    spec = importlib.util.spec_from_file_location(plain(file.stem) or "script", file)
    if spec is None or spec.loader is None or not file.is_file():
        raise InputError(f"{path}: there is no such Python script")
    script = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = script  # so that its classes have a module
    sys.path.insert(0, str(file.resolve().parent))
    try:
        spec.loader.exec_module(script)
        make = getattr(script, function, None)
        result = make() if callable(make) else None
    except (Exception, SystemExit) as error:
        raise InputError(f"{path}: the script raised {_first_line(error)}") from error
    finally:
        sys.path.pop(0)
    if not callable(make):
        raise InputError(f"{path}: it has no function {function}")
    return result
