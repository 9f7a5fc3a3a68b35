"""How many tokens a text has: counted where the model's tokenizer is at hand, else estimated.

The tokenizer of the sandbox's model lies on this disk, so its counts are exact. Those of hosted
models are not: the libraries that hold them weigh 40 MB or fetch them from the network. For these
there is an estimate, and it is always called one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from tokenizers import Tokenizer

from helpers.settings import ROOT, SANDBOX_MODEL

# Read as data: a file in the Hugging Face format, as any other model's.
TOKENIZER_FILE = ROOT / "sandbox" / "base_model" / "weights" / "tokenizer.json"
CHARS_PER_TOKEN = 4
LAST_LATIN = "\u024f"


def estimate_tokens(text: str) -> int:
    """A rough count for hosted models: four characters of English make about one token.

    A character of a script other than ours counts as a token of its own. On the course's files
    that is 14 % more than gpt-4.1 and its like really need: rather too much than too little.
    """
    others = sum(character > LAST_LATIN for character in text)
    return -(-(len(text) - others) // CHARS_PER_TOKEN) + others


def most_tokens(data: str | bytes) -> int:
    """A number that no tokenizer of today's models exceeds: each token stands for a byte or more.

    For what must never be exceeded, such as a ceiling; an estimate is no use there.
    """
    return len(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data)


class TokenCounter:
    """Counts exactly as the sandbox does for its own model and the ones tuned from it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        # The name of a special token inside a text is text.
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer

    def text(self, text: str) -> int:
        """Tokens of a text by itself."""
        # Halves of a UTF-16 pair, which JSON allows, have no UTF-8 form.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def prompt(self, text: str) -> int:
        """Tokens of a plain prompt: a start token, and the text."""
        return 1 + self.text(text)

    def chat(self, messages: Iterable[Mapping[str, Any]]) -> int:
        """Tokens of a chat that waits for its answer."""
        return self._conversation(messages) + 1  # the mark that it is the assistant's turn

    def example(self, example: Mapping[str, Any]) -> int:
        """Tokens of one example of a training file, in either format."""
        if "messages" in example:
            return self._conversation(example["messages"])
        # The start, the prompt, the completion, the end.
        return self.prompt(str(example["prompt"])) + self.text(str(example["completion"])) + 1

    def _conversation(self, messages: Iterable[Mapping[str, Any]]) -> int:
        # A start token; around each message a mark of who speaks and a mark of its end.
        return 1 + sum(self.text(str(message.get("content") or "")) + 2 for message in messages)


def counter_for(model: str) -> TokenCounter | None:
    """The exact counter for a model, or None if its tokenizer is not at hand."""
    base = model.split(":")[1] if model.startswith("ft:") and ":" in model[3:] else model
    return _sandbox_counter() if base == SANDBOX_MODEL else None


@lru_cache(maxsize=1)
def _sandbox_counter() -> TokenCounter | None:
    if not TOKENIZER_FILE.is_file():
        return None
    return TokenCounter(Tokenizer.from_file(str(TOKENIZER_FILE)))
