"""Tables of ``convprof compare``: layouts, libraries, mixers of pixels."""
