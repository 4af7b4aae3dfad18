"""The cache line of the CPUs that code is generated for."""

LINE_BYTES = 64
"""Of x86-64 and of most AArch64 CPUs. Where a line is longer, it is only fetched or counted twice;
what one thread writes is kept a line apart from what another one does."""
