"""Saved runs over time: the store, change points, and the lines of ``convprof history``."""
