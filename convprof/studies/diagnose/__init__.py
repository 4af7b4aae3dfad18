"""``diagnose``: where the time of a logged program went, and how much of it was lost."""
