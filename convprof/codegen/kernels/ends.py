"""The end of a kernel's sums: an epilogue, or the way back to bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.codegen.kernels import epilogue, requantise

if TYPE_CHECKING:
    from convprof.codegen.kernels.base import Pointers
    from convprof.codegen.writer import Writer
    from convprof.dtypes import Types
    from convprof.problems.epilogue import Epilogue


def end(w: Writer, ends: Epilogue, types: Types) -> Any:
    """Return the object that finishes the sums of a kernel of these types."""
    how = requantise.Requantise if types.requantises else epilogue.Finish
    return how(w, ends, types)


def pointers(ends: Epilogue, types: Types) -> Pointers:
    """Return the pointers of a kernel of three operands that ends its sums so."""
    return requantise.POINTERS if types.requantises else epilogue.pointers(ends)
