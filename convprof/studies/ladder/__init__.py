"""``ladder``: the same problem rung by rung, each one idea above the one before."""
