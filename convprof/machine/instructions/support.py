"""Which instructions this CPU has, by its flags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.codegen import tile_permission

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.codegen.probes.instructions import Absent, Instruction


def missing(row: Instruction | Absent, extensions: Mapping[str, bool | None]) -> str | None:
    """Return why a row cannot be measured here, or None if it can be.

    An extension that is not known to be there counts as absent: its instructions could trap. Tile
    registers need a permission of the system as well.
    """
    from convprof.codegen.probes.instructions import Absent

    if isinstance(row, Absent):
        return row.reason
    lacking = [name for name in row.needs if not extensions.get(name)]
    if not lacking:
        return tile_permission.refusal() if any(map(_of_tiles, row.needs)) else None
    if any(extensions.get(name) is False for name in lacking):
        return f"needs {' and '.join(lacking)}, which this CPU does not have"
    return f"needs {' and '.join(lacking)}; whether this CPU has it is unknown"


def _of_tiles(extension: str) -> bool:
    return extension.startswith("AMX")
