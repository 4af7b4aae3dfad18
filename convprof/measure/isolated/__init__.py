"""Contestants in other processes: a library that crashes takes nothing down.

All contestants of a library share a process; every other contestant has a process of its own.

The processes are started anew (never forked) and exchange lines of JSON with this one over pipes. A
result follows its line as the bytes of its elements. Nothing that a process sends is executed.

A process runs this Python, or the Python of another environment with another convprof.
"""

PROTOCOL = 3
"""Of the messages. It grows when a message gets, loses or renames a field: the convprof of another
environment takes part only with the same number."""
