"""Strategies for the backward passes of a convolution, one idea a file."""
