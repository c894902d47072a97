"""A newcomer's first half minute: the real daemon against simulated providers and a local chat."""
