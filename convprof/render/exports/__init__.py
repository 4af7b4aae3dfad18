"""Results in the formats of other tools: ``--export FORMAT FILE``. One module for each format."""
