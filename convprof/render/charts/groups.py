"""Names of the groups in an SVG that hold the marks of a series, and the mark of a bar."""


def series_group(series: int) -> str:
    """Return the name of the group with the markers of a series, counted from 0."""
    return f"series-{series}"


def bar_group(panel: int, bar: int) -> str:
    """Return the name of the group with one bar, counted from 0."""
    return f"bar-{panel}-{bar}"
