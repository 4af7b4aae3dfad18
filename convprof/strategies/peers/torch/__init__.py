"""PyTorch as a strategy: convolutions, products, their gradients, and whole networks."""
