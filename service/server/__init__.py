"""The HTTP server's limits on untrusted connections: their number, the size of a request's head, and time."""
