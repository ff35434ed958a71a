"""Where contracts are read: packages, lock files, revisions, the application."""
