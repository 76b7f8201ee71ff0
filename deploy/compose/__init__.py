"""What `docker-compose.yml` runs beside the service: creates secrets, sets up the storage, receives webhooks."""
