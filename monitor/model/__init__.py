"""The domain: pure values and pure functions, standard library only."""
