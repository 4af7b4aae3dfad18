"""The pages of ``explain``: one renderer per topic."""
