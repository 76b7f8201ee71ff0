"""The Celery workers and the jobs they run."""
