"""The operations of networks that are neither convolutions nor products with weights."""
