"""Contestants in processes of their own: a library that crashes takes nothing down.

The processes are started anew (never forked) and exchange lines of JSON with this one over pipes. A
result follows its line as the bytes of its elements. Nothing that a process sends is executed.
"""
