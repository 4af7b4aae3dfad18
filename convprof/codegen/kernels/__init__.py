"""Kernels that strategies run: register tiles, depthwise tiles, transforms, element-wise code."""
