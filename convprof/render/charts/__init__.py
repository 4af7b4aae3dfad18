"""Charts: their data (`chart`), drawn in a terminal (`terminal`) and as a file (`picture`)."""
