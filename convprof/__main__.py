"""``python -m convprof`` is ``convprof``."""

from convprof.cli import main

main()
