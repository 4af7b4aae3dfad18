"""Choosing a strategy and its blocking for a problem: a model, a short timed search, a memory."""
