"""Whole networks: layers bound one to the next, in memory that they share, run in one go."""
