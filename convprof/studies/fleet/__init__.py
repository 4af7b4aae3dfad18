"""``fleet``: one suite of problems on many hosts, scheduled by Dask; the table of results."""
