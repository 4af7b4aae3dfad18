"""``repro``: a measured library call as a program or a model of its own, without convprof."""
