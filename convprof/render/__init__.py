"""Results and events as Rich tables, panels, JSON, CSV and Markdown. Knows no kernel."""
