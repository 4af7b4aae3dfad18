"""A PyTorch module as a network: exported by PyTorch to an ONNX file, which is then read.

PyTorch has two exporters. The file with fewer opaque operations is taken.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import shutil
import sys
import tempfile
import warnings
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.networks.onnx.load import load
from convprof.networks.onnx.names import plain
from convprof.problems.checks import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

    from convprof.networks.onnx.load import Imported

INPUT, OUTPUT = "x", "y"
USUAL = (1, 3, 224, 224)
"""The example input of a function that returns a module alone."""
_LONGEST = 300


def from_module(
    module: Any, example: Any, name: str = "module", outputs: Sequence[str] = ()
) -> Imported:
    """Return the network that a module computes of inputs of the example's shape.

    ``example`` is an input, or a tuple of several. The inputs are ``x``, or ``x0``, ``x1``, …, and
    so are the results: ``y``, or ``y0``, ``y1``, …. ``outputs`` as for ``load``.

    The exported file is deleted with the result. InputError with the exporter's reason where the
    module cannot be exported, or what ``load`` raises.
    """
    torch = _torch()
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"{shown(type(module).__name__)} is not a module of PyTorch")
    examples = example if isinstance(example, tuple) else (example,)
    tensors = tuple(map(torch.as_tensor, examples))
    try:
        names = _numbered(OUTPUT, _results(module, tensors))
    except InputError as error:
        raise InputError(f"{name}: {error.reason}") from error
    export = functools.partial(_exported, module, tensors, names, plain(name) or "module")
    best: Imported | None = None
    reasons: list[str] = []
    for dynamo in (False, True):
        try:
            imported = _loaded(functools.partial(export, dynamo=dynamo), outputs)
        except InputError as error:
            reasons.append(error.reason)
            continue
        best = imported if best is None else min(best, imported, key=_opaque)
        if not _opaque(best):
            break
    if best is None:
        raise InputError(f"{name}: {reasons[0]}")
    return best


def _loaded(export: Callable[[Path], Path], outputs: Sequence[str]) -> Imported:
    """Return the network of a file that is written into a folder and deleted with the network."""
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="convprof-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        imported = load(export(folder), {}, outputs)
        # Weights and comparisons with other programs read the file later.
        weakref.finalize(imported, stack.pop_all().close)
    return imported


def _opaque(imported: Imported) -> int:
    return sum(node.op.is_opaque for node in imported.network.nodes)


def _torch() -> ModuleType:
    try:
        return importlib.import_module("torch")
    except ImportError:
        raise InputError("PyTorch modules need the package torch: pip install torch") from None


def _results(module: Any, tensors: tuple[Any, ...]) -> int:
    """Return how many tensors a module returns; InputError with the reason where it fails."""
    with _exporting(module):
        return _tensors(module(*tensors))


def _exported(
    module: Any,
    tensors: tuple[Any, ...],
    names: Sequence[str],
    name: str,
    folder: Path,
    *,
    dynamo: bool,
) -> Path:
    """Return the file that an exporter writes; InputError with the reason where it cannot.

    ``names``: the results.
    """
    path = folder / f"{name}.onnx"
    with _exporting(module):
        _torch().onnx.export(
            module, tensors, str(path), dynamo=dynamo,
            input_names=_numbered(INPUT, len(tensors)),
            output_names=names, **({"verbose": False} if dynamo else {}),
        )  # fmt: skip
    return path


@contextlib.contextmanager
def _exporting(module: Any) -> Iterator[None]:
    """Run or export a module: in evaluation, without warnings, and InputError for every error."""
    with _evaluating(module), warnings.catch_warnings(), _torch().inference_mode():
        warnings.simplefilter("ignore")
        try:
            yield
        except Exception as error:  # exporters and the module raise what they like
            reason = f"PyTorch cannot export it: {_first_line(error)}"
            raise InputError(reason) from error


def _tensors(result: Any) -> int:
    """Return how many tensors are in what a module has returned; other values are no results."""
    if isinstance(result, (tuple, list, Mapping)):
        values = result.values() if isinstance(result, Mapping) else result
        return sum(map(_tensors, values))
    return int(isinstance(result, _torch().Tensor))


def _numbered(name: str, count: int) -> list[str]:
    """Return ``y``, or ``y0``, ``y1``, …: names for a number of tensors."""
    return [name] if count == 1 else [f"{name}{place}" for place in range(count)]


@contextlib.contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """Set a module to evaluation, and afterwards each of its parts to the mode that it had."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training


def _first_line(error: BaseException) -> str:
    text = " ".join(str(error).split())[:_LONGEST]
    kind = type(error).__name__
    return f"{kind}: {text if text.isprintable() else shown(text)}" if text else kind


# A function in a script of the user's, which is run because the user names it.


def from_script(path: str, function: str, outputs: Sequence[str] = ()) -> Imported:
    """Run a Python script, call a function in it, and return the network of the result.

    The function returns a module of PyTorch, or the module and an example input, or a tuple of
    several. InputError in one line where the script or the function raises, or returns something
    else.
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
    return from_module(module, example, function, outputs)


def _called(path: str, function: str) -> Any:
    file = Path(path)
    spec = importlib.util.spec_from_file_location(plain(file.stem) or "script", file)
    if spec is None or spec.loader is None or not file.is_file():
        raise InputError(f"{path}: there is no such Python script")
    script = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = script  # so that its classes have a module
    folder = str(file.resolve().parent)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(script)
        make = getattr(script, function, None)
        result = make() if callable(make) else None
    except (Exception, SystemExit) as error:
        raise InputError(f"{path}: the script raised {_first_line(error)}") from error
    finally:
        with contextlib.suppress(ValueError):  # the script may have removed it
            sys.path.remove(folder)
    if not callable(make):
        raise InputError(f"{path}: it has no function {function}")
    return result
