"""What one client can do to others: each test makes an input that once affected them."""
