"""The whole stack on one machine, each part a real process."""
