"""Attention: the whole matrix of scores, and without it."""
