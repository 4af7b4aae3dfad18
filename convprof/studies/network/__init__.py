"""A whole network: its layers timed, its chain, the plan that makes the chain fastest."""
