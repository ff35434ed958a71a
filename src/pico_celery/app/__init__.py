"""The application: settings, the Celery factory, the embedded broker."""
