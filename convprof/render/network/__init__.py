"""Tables of ``convprof network``: layers, chains, plans, training steps, summaries."""
