"""Strategies for the backward passes of a matrix product, one idea a file."""
