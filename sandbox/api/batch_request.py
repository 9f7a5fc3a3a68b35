"""The body of "create a batch": its fields and their limits."""

from typing import Annotated, Literal

from pydantic import Field

from sandbox.api.body import Strict
from sandbox.api.metadata import Metadata
from sandbox.api.uploads import LONGEST_LIFE, SHORTEST_LIFE

Endpoint = Literal["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"]


class OutputExpiresAfter(Strict):
    """How long the output files live, counted from their creation."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=SHORTEST_LIFE, le=LONGEST_LIFE)]


class BatchRequest(Strict):
    """The parameters of a new batch."""

    input_file_id: str
    endpoint: Endpoint
    completion_window: Literal["24h"]
    metadata: Metadata | None = None
    output_expires_after: OutputExpiresAfter | None = None
