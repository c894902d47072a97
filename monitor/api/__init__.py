"""The HTTP API: answers from the store, never by calling a provider."""
