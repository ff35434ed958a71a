"""Messages: a call or result of a contract as what Celery carries, and back. No I/O."""
