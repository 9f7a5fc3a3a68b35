"""/v1/embeddings: texts in, vectors of unit length out."""

import base64
import struct
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from openai.types import CreateEmbeddingResponse, Embedding
from openai.types.create_embedding_response import Usage as EmbeddingUsage
from pydantic import BeforeValidator, Field
from starlette.concurrency import run_in_threadpool

from sandbox.api.auth import Project
from sandbox.api.body import JsonRoute, Strict, dump
from sandbox.api.catalog import find_embedder
from sandbox.api.context import Context, ContextOf
from sandbox.api.generation import translate
from sandbox.api.prompts import Prompts, check_tokens
from sandbox.api.streaming import unless_gone
from sandbox.engine.parent.sampler import SamplerClient
from sandbox.engine.sampler.messages import Embed, EngineError

router = APIRouter(prefix="/embeddings", tags=["embeddings"], route_class=JsonRoute)


def _none_is_empty(value: Any) -> Any:
    """Refuse what has nothing in it: unlike a prompt, an input needs some text."""
    if value in ("", []):
        kind = "string" if isinstance(value, str) else "array"
        raise ValueError(f"input cannot be an empty {kind}")
    for number, one in enumerate(value if isinstance(value, list) else ()):
        if one in ("", []):
            raise ValueError(f"input[{number}] cannot be empty")
    return value


class EmbeddingRequest(Strict):
    """The parameters of a request for embeddings."""

    model: str
    input: Annotated[Prompts, BeforeValidator(_none_is_empty)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: str | None = None  # a label for the hosted provider's own records


@router.post("")
async def create_embeddings(
    asked: EmbeddingRequest, request: Request, project: Project, context: ContextOf
) -> dict[str, Any]:
    """One vector for each text: texts of like content have vectors of like direction."""
    answer = await prepare(context, project, asked, False)
    return await unless_gone(request, answer.whole())


async def prepare(
    context: Context, project: str, asked: EmbeddingRequest, background: bool
) -> "EmbeddingAnswer":
    """Return the answer to a request on its way. Raises ApiError.

    The sampler embeds in small portions between the tokens it writes: nobody has to wait for
    long, so ``background`` makes no difference here.
    """
    model = await run_in_threadpool(find_embedder, context, project, asked.model)
    for tokens in asked.input:
        if isinstance(tokens, list):
            check_tokens(model, tokens, "input")
    return EmbeddingAnswer(
        context.sampler, asked, Embed(str(model.path), asked.input, asked.dimensions)
    )


@dataclass(frozen=True)
class EmbeddingAnswer:
    """One answer of vectors on its way."""

    sampler: SamplerClient
    asked: EmbeddingRequest
    request: Embed

    async def whole(self) -> dict[str, Any]:
        """Return the vectors with the token counts. Raises ApiError."""
        try:
            vectors, usage = await self.sampler.embed(self.request)
        except EngineError as error:
            param = "dimensions" if error.code == "invalid_dimensions" else "input"
            raise translate(error, param) from error
        tokens = usage.prompt_tokens
        return dump(
            CreateEmbeddingResponse(
                object="list",
                data=[self._item(number, vector) for number, vector in enumerate(vectors)],
                model=self.asked.model,
                usage=EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens),
            )
        )

    def _item(self, index: int, vector: str) -> Embedding:
        fields = {"object": "embedding", "index": index}
        if self.asked.encoding_format == "base64":
            # Not validated: the SDK's type knows the decoded vector only.
            return Embedding.construct(**fields, embedding=vector)
        content = base64.b64decode(vector)
        numbers = struct.unpack(f"<{len(content) // 4}f", content)
        return Embedding(**fields, embedding=list(numbers))
