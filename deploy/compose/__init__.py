"""What `docker-compose.yml` runs beside the service: it makes secrets, prepares the parts, and receives webhooks."""
