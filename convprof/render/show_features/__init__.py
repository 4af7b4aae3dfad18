"""A picture's features: the table on a terminal, and the sheet as a file."""
