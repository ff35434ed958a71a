"""Other projects' own test suites, run against this library."""
