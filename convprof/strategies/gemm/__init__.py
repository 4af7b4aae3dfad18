"""Matrix-product strategies, one idea a file, in the order of the ladder."""
