"""How many tokens a text has: counted with the model's tokenizer if it is here, else estimated."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from helpers.settings import ROOT, fetched_model

# Shipped models and the folders of their tokenizers, in Hugging Face's format. What was fetched is
# found by its name.
FOLDERS = {"superhero-mini": ROOT / "sandbox" / "base_model" / "weights"}
CHARS_PER_TOKEN = 4
LAST_LATIN = "\u024f"
SLOT = re.compile("\ue000([0-9]+)\ue001")


def estimate_tokens(text: str) -> int:
    """A rough count for hosted models: four characters of English make about one token.

    A character of a script other than Latin counts as a token of its own. On the course's files
    that is 14 % more than gpt-4.1 and its like really need.
    """
    others = sum(character > LAST_LATIN for character in text)
    return -(-(len(text) - others) // CHARS_PER_TOKEN) + others


def most_tokens(text: str) -> int:
    """A number that no tokenizer of today's models exceeds: a token is at least one byte of UTF-8.

    For a ceiling. An estimate could be too low: code and rare words take more tokens.
    """
    return len(text.encode("utf-8", "surrogatepass"))


class TokenCounter:
    """Counts exactly as the sandbox does, for a model in a Hugging Face folder. Loads no torch."""

    def __init__(self, folder: Path) -> None:
        self._template_tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._text_tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        # The name of a special token inside a text is text.
        self._text_tokenizer.encode_special_tokens = True
        settings, config = (
            json.loads((folder / name).read_text(encoding="utf-8"))
            for name in ("tokenizer_config.json", "config.json")
        )
        self._names = {name: _token_name(settings.get(name)) for name in ("bos_token", "eos_token")}
        template = folder / "chat_template.jinja"
        source = template.read_text(encoding="utf-8") if template.is_file() else None
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        self._template = environment.from_string(source or settings.get("chat_template") or "")
        # The model's context: the longest example or conversation, in tokens.
        self.max_tokens = int(config.get("max_position_embeddings") or 1024)
        # The names that must not be in a training text.
        added = self._template_tokenizer.get_added_tokens_decoder().values()
        self.special_tokens = [token.content for token in added if token.special]

    def text(self, text: str) -> int:
        """Tokens of a text by itself."""
        # Halves of a UTF-16 pair, which JSON allows, have no UTF-8 form.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return len(self._text_tokenizer.encode(text, add_special_tokens=False).ids)

    def chat(self, messages: Sequence[Mapping[str, Any]], *, answer: bool = True) -> int:
        """Tokens of a chat; with `answer`, one that waits for the assistant's turn.

        Raises ValueError if the model's chat template refuses the messages.
        """
        # Contents are counted apart from the template's own text, which has special tokens.
        contents = [str(message.get("content") or "") for message in messages]
        slots = [{**m, "content": f"\ue000{i}\ue001"} for i, m in enumerate(messages)]
        try:
            text = self._template.render(
                messages=slots, add_generation_prompt=answer, **self._names
            )
        except jinja2.TemplateError as error:
            raise ValueError(f"The chat template refuses the messages: {error}") from error
        count = 0
        for i, part in enumerate(SLOT.split(text)):
            if i % 2:
                count += self.text(contents[int(part)])
            elif part:
                encoded = self._template_tokenizer.encode(part, add_special_tokens=False)
                count += len(encoded.ids)
        return count

    def example(self, example: Mapping[str, Any]) -> int:
        """Tokens of one example of a training file, in either format, as a job is billed.

        Raises KeyError, TypeError, AttributeError or ValueError for something that is no example.
        """
        if "messages" in example:
            return self.chat(example["messages"], answer=False)
        # A start token if the model has one, both texts, and a token that ends the completion.
        marks = bool(self._names["bos_token"]) + any(map(bool, self._names.values()))
        return marks + self.text(str(example["prompt"])) + self.text(str(example["completion"]))


def counter_for(model: str) -> TokenCounter | None:
    """The exact counter for a model or one tuned from it; None if its tokenizer is not here."""
    base = model.split(":")[1] if model.startswith("ft:") else model
    folder = FOLDERS.get(base) or fetched_model(base)
    return _counter(folder) if folder and (folder / "tokenizer.json").is_file() else None


@lru_cache
def _counter(folder: Path) -> TokenCounter:
    return TokenCounter(folder)


def _token_name(value: Any) -> str:
    """A special token's name, which the settings give as a string or as an object."""
    return str((value.get("content") if isinstance(value, dict) else value) or "")


def line_tokens(line: str, counter: TokenCounter | None) -> int:
    """Tokens of an example's texts, or of the whole line if it is no example."""
    try:
        row = json.loads(line)
        return counter.example(row) if counter else estimate_tokens(" ".join(_strings(row)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return counter.text(line) if counter else estimate_tokens(line)


def _strings(value: Any) -> list[str]:
    """All texts in a row of a file, however deep."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in parts for text in _strings(part)]
