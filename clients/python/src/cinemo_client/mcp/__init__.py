"""A server for agents: the service's jobs as tools, tasks and resources of the Model Context Protocol.

It is a client of the HTTP API like any other and keeps nothing: tasks are jobs, so it may be restarted at any time. It
needs the extra `mcp`.
"""
