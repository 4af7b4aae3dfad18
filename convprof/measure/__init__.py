"""Measuring: operands, verification, the interleaved sampler, the events it yields."""
