"""The library's command line as one of two processes, started with `python -m` by accelerate's launcher."""

from accelerate.state import PartialState

from cinemo_core.__main__ import app

if __name__ == "__main__":
    app(standalone_mode=False)
    assert PartialState().num_processes == 2, "else each has trained for itself"
