"""A Python in which packages are missing, as in an image without them."""

REFUSING = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Refuse())
"""
"""To be run before anything else, with the names of the modules filled in as `absent`."""
