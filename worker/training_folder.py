"""What a worker and the process that trains for it share: a folder, and how the process ends."""

RELEASED = 75
"""EX_TEMPFAIL of sysexits.h: the state is saved, try again."""

CONFIG, EVENTS, BASE, RUN, MODEL = "config.json", "events.jsonl", "base", "run", "model"
