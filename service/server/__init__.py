"""Connections as strangers open them: bounded in number, in the size of what is sent before a request, and in time."""
