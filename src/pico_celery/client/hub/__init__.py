"""The hub of a client process: one thread that publishes for event loops, one that receives results for everybody."""
