"""One idea on one page: what theory expects, what is measured, and the difference."""

from __future__ import annotations

STUDIES = {
    "unroll": "Independent sums and steps per iteration: until the gain is gone.",
    "simd": "The same kernel in scalars and in vectors of 128, 256, 512 bits.",
    "fma": "Multiply and add apart, against fused multiply-add.",
    "tile": "A map of cache-tile sizes, with what fits which cache.",
    "threads": "Scaling, the cost of a launch, the smallest problem that pays.",
    "layout": "NCHW against NHWC, and what a stride costs per element.",
}
"""Study -> its question, in the order in which they are best read."""
