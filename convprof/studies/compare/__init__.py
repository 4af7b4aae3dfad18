"""What ``convprof compare`` measures: layouts, libraries, mixers of pixels."""
