"""What a network computes beside convolutions and products with weights."""
