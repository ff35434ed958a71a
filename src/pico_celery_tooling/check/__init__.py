"""What `check` reads and prints."""
