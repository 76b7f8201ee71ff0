"""The base class of models shared by the library, the service and its clients."""

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """An immutable model that rejects unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)
