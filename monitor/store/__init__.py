"""The store: one implementation, over the Redis protocol."""
