"""The reason why a file is refused."""

from __future__ import annotations

import pytest

from convprof.errors import InputError
from convprof.networks.onnx import load


def refusal(path):
    """Load a file that is refused; return the reason, which follows the file's name."""
    with pytest.raises(InputError) as error:
        load(path, {})
    text = str(error.value)
    assert text.isprintable()
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")
