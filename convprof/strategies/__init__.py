"""Strategies: named ways of computing a problem. The registry lists them."""
