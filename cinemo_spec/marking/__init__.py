"""Videos and posters that say of themselves, in words that machines read, that they were made by a model."""
