"""Results and events as Rich tables, panels, JSON, CSV and Markdown; without access to kernels."""
