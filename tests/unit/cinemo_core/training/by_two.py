"""The command line of the model library, as one of two processes: `python -m` this, by accelerate's launcher."""

from accelerate.state import PartialState

from cinemo_core.__main__ import app

if __name__ == "__main__":
    app(standalone_mode=False)
    assert PartialState().num_processes == 2, "else each has trained for itself"
