"""``sweep``: strategies over a range of sizes, channels, threads or tiles."""
