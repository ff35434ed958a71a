"""The command line: ``pico-celery ...``, and the same commands as ``celery -A app contracts ...``."""
