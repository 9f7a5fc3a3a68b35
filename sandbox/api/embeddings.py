"""/v1/embeddings: texts in, vectors of unit length out."""

import base64
import struct
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from openai.types import CreateEmbeddingResponse, Embedding
from openai.types.create_embedding_response import Usage as EmbeddingUsage
from starlette.concurrency import run_in_threadpool

from sandbox.api import wire
from sandbox.api.auth import Project
from sandbox.api.body import parse, read_object
from sandbox.api.catalog import find_model
from sandbox.api.context import Context, ContextOf, Sampler
from sandbox.api.disconnect import unless_gone
from sandbox.api.embedding_request import EmbeddingRequest
from sandbox.api.generation import translate
from sandbox.api.openapi import body_of
from sandbox.engine.sampler.messages import Embed, EngineError

router = APIRouter(prefix="/embeddings", tags=["embeddings"])


@router.post("", openapi_extra=body_of(EmbeddingRequest))
async def create_embeddings(
    request: Request, project: Project, context: ContextOf
) -> dict[str, Any]:
    """One vector for each text: texts of like content have vectors of like direction."""
    data = await read_object(request, context.settings.max_body_bytes)
    answer = await prepare(context, project, data)
    return await unless_gone(request, answer.whole())


async def prepare(
    context: Context, project: str, data: dict[str, Any], background: bool = False
) -> "EmbeddingAnswer":
    """Check the body of a request and return its answer on its way. Raises ApiError.

    The sampler embeds in small portions between the tokens it writes: nobody has to wait for
    long, so ``background`` makes no difference here.
    """
    asked = parse(EmbeddingRequest, data)
    model = await run_in_threadpool(find_model, context, project, asked.model)
    request = Embed(str(model.path), asked.input, asked.dimensions)
    return EmbeddingAnswer(context.sampler, asked, request)


@dataclass(frozen=True)
class EmbeddingAnswer:
    """One answer of vectors on its way."""

    sampler: Sampler
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
        return wire.dump(
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
        return Embedding(**fields, embedding=decode(vector))


def decode(vector: str) -> list[float]:
    """Return the numbers of a vector that came as float32, little-endian, in base64."""
    content = base64.b64decode(vector)
    return list(struct.unpack(f"<{len(content) // 4}f", content))
