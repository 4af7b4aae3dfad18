"""Logs that other programs wrote: which operations of which libraries ran, and how long.

A log is data from a stranger: recognised by its content, read as a stream with limits, parsed and
never executed. A line or an event that cannot be read is counted, and reading goes on.
"""
