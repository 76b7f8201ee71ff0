"""Names of the files that a worker and its training process share, and the exit code of a released job."""

RELEASED = 75
"""Exit code EX_TEMPFAIL of sysexits.h: the state is saved, and the job can be resumed."""

CONFIG, EVENTS, BASE, RUN, MODEL = "config.json", "events.jsonl", "base", "run", "model"
