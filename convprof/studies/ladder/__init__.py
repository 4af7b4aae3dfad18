"""``ladder``: the same problem rung by rung, each one idea above the one before."""

VARIED = {"gemm": "size", "conv2d": "image"}
"""By kind of problem, the variable of a ladder over sizes, by its name in a sweep."""
