"""Machine-readable marks that a video or poster was made by a model."""
