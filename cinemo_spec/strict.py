"""The base of all that is agreed on between the library, the service and its clients."""

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """A model that never changes, and that refuses fields it doesn't know."""

    model_config = ConfigDict(extra="forbid", frozen=True)
