"""The application: pure decisions and the thin functions that carry them out. Knows ports, never adapters."""
