"""The pages of ``convprof study``."""
