"""Videos of strangers are decoded by a process that has nothing: little memory, little time, no file and no network."""
