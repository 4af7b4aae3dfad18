"""The libraries people use, as strategies: what a user of each would call, one library a file."""
