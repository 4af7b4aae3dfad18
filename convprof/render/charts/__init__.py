"""Charts: what is drawn (`chart`), in a terminal (`terminal`) and as a file (`picture`)."""
