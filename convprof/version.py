"""The version of convprof, for every floor: nothing below the facade may import the facade."""

__version__ = "0.1.0"
