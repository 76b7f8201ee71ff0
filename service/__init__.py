"""The HTTP front, and the contract that the workers share with it. Never imports torch."""
