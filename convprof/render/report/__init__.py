"""A page of HTML about the results of a command: one file, without network, to open and send."""
