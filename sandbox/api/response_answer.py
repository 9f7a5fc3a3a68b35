"""From a request for a response to its answer: the conversation so far, and what is kept of it."""

from dataclasses import replace
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool

from sandbox.api.context import Context
from sandbox.api.errors import BadRequest, NotFound, UnsupportedParameter
from sandbox.api.generation import TextAnswer, open_request
from sandbox.api.response_request import ResponseRequest
from sandbox.api.response_shape import ResponseShape
from sandbox.store import answers, ids
from sandbox.store.tables import AnswerRow

Items = list[dict[str, Any]]  # messages as the list of input items shows them
UNFINISHED = ("queued", "in_progress")


async def prepare(
    context: Context, project: str, asked: ResponseRequest, background: bool
) -> TextAnswer:
    """Return the answer to a request on its way. Raises ApiError."""
    if asked.background:  # a request that comes alone is not prepared here
        raise UnsupportedParameter("background", "A batch runs in the background already.")
    items = await run_in_threadpool(conversation, context, project, asked)
    answer = await open_answer(context, project, items, ResponseShape(asked), background)
    keep = partial(answers.add_answer, context.store, project, items) if asked.store else None
    return replace(answer, keep=keep)


async def open_answer(
    context: Context, project: str, items: Items, shape: ResponseShape, background: bool
) -> TextAnswer:
    """Return the model's answer to a conversation, on its way. Raises ApiError."""
    asked = shape.asked
    # Instructions hold for one answer: those of the answers before it are left out.
    prompt = [{"role": "system", "content": asked.instructions}] if asked.instructions else []
    prompt += [_message(item) for item in items]
    sampling = asked.sampling()
    # Not the body as it came: with the same conversation the same seed, whatever its id.
    content = {"model": asked.model, "messages": prompt, **sampling.model_dump()}
    opened = await open_request(context, project, asked.model, sampling, content, background)
    return TextAnswer(context.sampler, [opened.generate(prompt, asked.stream)], "input", shape)


def conversation(context: Context, project: str, asked: ResponseRequest) -> Items:
    """Return all messages that lead to an answer. Raises BadRequest or NotFound."""
    new = [item.stored(ids.message_id()) for item in asked.input]
    if asked.previous_response_id is None:
        return new
    try:
        row = find_response(context, project, asked.previous_response_id)
    except NotFound as error:
        error.param, error.code = "previous_response_id", "previous_response_not_found"
        raise
    if row.answer["status"] in UNFINISHED:
        raise BadRequest(
            f"The response '{row.id}' is {row.answer['status']}. Wait for its end, then go on.",
            param="previous_response_id",
        )
    return row.items + row.answer["output"] + new


def _message(item: dict[str, Any]) -> dict[str, str]:
    role = "system" if item["role"] == "developer" else item["role"]
    return {"role": role, "content": "".join(part["text"] for part in item["content"])}


def find_response(context: Context, project: str, response_id: str) -> AnswerRow:
    """Return one of a project's answers. Raises NotFound."""
    row = answers.get_answer(context.store, project, response_id, answers.RESPONSE)
    if row is None:
        raise NotFound(f"Response with id '{response_id}' not found.")
    return row
