"""The operator's policy: asked what may be made and what may be delivered."""
