"""The dialect of OpenAI's Videos API with its real clients, over the whole stack: `make dialect-test`.

Each client has an environment of its own below `var/dialect`, since some of them want what the others do not.
"""
