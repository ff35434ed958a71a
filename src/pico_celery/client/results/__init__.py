"""Results: waiting for them, hearing of them, and what callers hold."""
