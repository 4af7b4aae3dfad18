"""Halide: what is computed written once, and schedules that say in which order.

``algorithm`` has the definitions, ``ladder`` and ``tuned`` the schedules made by hand,
``autoschedulers`` those that Halide's plugins find, ``strategy`` the strategies.
"""
