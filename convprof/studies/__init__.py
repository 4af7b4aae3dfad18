"""Questions put to many measurements: run, compare, ladder, sweep, network."""
