"""What library and service agree on: parameters, formats, model cards, training runs, reading photos, marking videos.

Knows pydantic and Pillow, and neither torch nor anything of web or queue.
"""

__version__ = "0.1.0"
