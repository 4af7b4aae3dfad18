"""``compare mixers``: self-attention and convolutions that mix the same tokens."""
