"""What one client can do to the others: each input that once did something, made by the test itself."""
