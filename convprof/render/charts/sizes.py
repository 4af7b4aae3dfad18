"""Sizes and greys that all pictures share."""

POINTS = 72
"""Points or pixels per inch."""
WIDTH, HEIGHT = 8.0, 4.4
"""Inches: the width of the picture, and the height of the axes in charts with two axes."""
TITLE_SIZE, SUBTITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 14.0, 10.0, 11.0, 9.0
"""Points. The title can be read in a thumbnail of 300 pixels."""
LINE_HEIGHT = 1.35
"""Height of a line of text, over the size of its letters."""
TITLE_COLUMNS, SUBTITLE_COLUMNS, CAPTION_COLUMNS = 70, 102, 112
"""Characters of a line."""
LINE_GREY, GRID_GREY = "#444444", "#dddddd"
