"""``trace``: run a program with the loggers of its libraries switched on."""
