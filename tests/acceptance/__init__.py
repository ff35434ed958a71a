"""What a user sees: README, docs, examples and demo, run as written."""
