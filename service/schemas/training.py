"""What fields of a training mean over HTTP, where the library's own words promise more than the service takes."""

BASE_MODEL = "`tiny`, the service's own model or a published one: `name@revision`, or `name` for the newest."
DATA_SOURCE = "Prefix in the service's storage, below which video files with captions or WebDataset shards (.tar) lie."
