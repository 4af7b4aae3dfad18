"""Sizes and greys that all pictures share."""

POINTS = 72
"""In an inch."""
WIDTH, HEIGHT = 8.0, 4.4
"""Inches: the width of the picture, and the height that charts with two axes have for the axes."""
TITLE_SIZE, SUBTITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 14.0, 10.0, 11.0, 9.0
"""Points. The title can be read in a thumbnail of 300 pixels."""
LINE_HEIGHT = 1.35
"""Of a line of text, over the size of its letters."""
TITLE_COLUMNS, SUBTITLE_COLUMNS, CAPTION_COLUMNS = 70, 102, 112
"""Characters of a line."""
LINE_GREY, GRID_GREY = "#444444", "#dddddd"
