"""The pre-bet guard's own words and arithmetic: pure, standard library only."""
