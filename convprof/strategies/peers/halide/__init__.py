"""Halide: what is computed written once, and schedules that say in which order.

``algorithm`` has the definitions, ``ladder`` and ``tuned`` the schedules written by hand,
``autoschedulers`` the schedules of Halide's plugins, ``strategy`` the strategies.
"""
