"""The most that a call can cost, told from what is sent: what a ceiling has to reckon with.

An estimate would not do here. No tokenizer makes more tokens of a text than it has bytes, and no
answer is longer than its limit allows.
"""

from __future__ import annotations

import json
import math
from typing import Any

from helpers.money.costs import estimate_training_size, usage_cost

# The end of a path whose calls are paid by their tokens, and what to call it.
PAID = {
    "/chat/completions": "chat",
    "/completions": "completion",
    "/embeddings": "embeddings",
    "/responses": "response",
}
LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
# Without a limit: the shortest one for plain completions is fixed by the API, and no model that
# has a price in our table writes longer answers than this.
SHORT_ANSWER, LONGEST_ANSWER = 16, 128_000


def kind_of(path: str) -> str | None:
    """What a path asks for, if that is paid by its tokens."""
    return next((what for end, what in PAID.items() if path.endswith(end)), None)


def most_billed(what: str, body: dict[str, Any], size: int) -> tuple[int, int]:
    """The most tokens in and out that a call with this body of `size` bytes can be billed for."""
    if what == "embeddings":
        return size, 0
    limit = next((body[name] for name in LIMITS if body.get(name)), None)
    longest = limit or (SHORT_ANSWER if what == "completion" else LONGEST_ANSWER)
    prompts = body.get("prompt")
    # A list of texts, or of lists of token ids, is several prompts; a list of ids is one.
    several = isinstance(prompts, list) and prompts and not isinstance(prompts[0], int)
    answers = max(body.get("n") or 1, body.get("best_of") or 1) * (len(prompts) if several else 1)
    return size, int(longest) * int(answers)


def call_cost(what: str, body: dict[str, Any], size: int, *, batch: bool = False) -> float | None:
    """The most dollars for a call; None if the model's price is not known."""
    return usage_cost(str(body["model"]), *most_billed(what, body, size), batch=batch)


def batch_cost(upload: bytes) -> tuple[str, float | None] | None:
    """Model and most dollars of the batch in an uploaded file; None if there is no batch in it.

    `upload` may be the whole body of the upload: its other lines are passed over.
    """
    model, costs = "", []
    for line in upload.splitlines():
        if not line.startswith(b"{") or b'"custom_id"' not in line:
            continue
        try:
            request = json.loads(line)
            body, what = request["body"], kind_of(request["url"])
            if what:
                model = model or str(body["model"])
                costs.append(call_cost(what, body, len(line), batch=True))
        except (ValueError, KeyError, TypeError):
            continue  # the server refuses the line, and bills nothing
    if not costs:
        return None
    return model, None if None in costs else math.fsum(cost or 0.0 for cost in costs)


def training_cost_of(request: dict[str, Any], file_size: int) -> float | None:
    """Dollars for a job on a file of so many bytes. Only an estimate: the server counts at last."""
    method = request.get("method") or {}
    options = method.get(method.get("type") or "supervised") or {}
    numbers = options.get("hyperparameters") or request.get("hyperparameters") or {}
    epochs = numbers.get("n_epochs")
    known = epochs if isinstance(epochs, int) else None
    return estimate_training_size(file_size, str(request["model"]), known).usd
