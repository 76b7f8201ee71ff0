"""What a worker and its training process share: names in their folder, and an exit code."""

RELEASED = 75
"""Exit code EX_TEMPFAIL of sysexits.h: the state is saved, and the job can be resumed."""

CONFIG, EVENTS, BASE, RUN, MODEL = "config.json", "events.jsonl", "base", "run", "model"
