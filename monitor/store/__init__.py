"""The store: one implementation, over the Redis protocol (design.md 4)."""
