"""What the nodes of a network compute, as frozen values with shapes, costs and a reference.

A module per family; the operations in its ``__all__`` are named here.
"""

from __future__ import annotations

from convprof.problems.ops.along_axis import *
from convprof.problems.ops.arranging import *
from convprof.problems.ops.attention import *
from convprof.problems.ops.base import Op as Op
from convprof.problems.ops.deciding import *
from convprof.problems.ops.elementary import *
from convprof.problems.ops.elementwise import *
from convprof.problems.ops.grouped_linear import *
from convprof.problems.ops.indexing import *
from convprof.problems.ops.normalisation import *
from convprof.problems.ops.opaque import *
from convprof.problems.ops.per_element import *
from convprof.problems.ops.pooling import *
from convprof.problems.ops.products import *
from convprof.problems.ops.rearranged import *
from convprof.problems.ops.rearranged_attention import *
from convprof.problems.ops.recurrent import *
from convprof.problems.ops.resizing import *
from convprof.problems.ops.tokens import *
