"""Decodes untrusted videos in a confined process: limited memory and CPU time, no files and no network."""
