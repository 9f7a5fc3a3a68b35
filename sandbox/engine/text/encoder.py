"""From text to token ids and back: chat templates, plain prompts, streaming detokenization.

No torch here: the API process uses this module to check training files and to count tokens.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
import jinja2.ext
import jinja2.sandbox
from tokenizers import Tokenizer

Message = Mapping[str, Any]

# Private-use characters mark where a message's text goes in the rendered template.
_SLOT = "\ue000{}\ue001"
_SLOT_PATTERN = re.compile("\ue000([0-9]+)\ue001")
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class ChatFormatError(ValueError):
    """The folder has no usable chat template, or the template refuses these messages."""


class Encoder:
    """Tokenizer and chat template of one model folder.

    User text never becomes a special token: a template is rendered with placeholders, its own
    text is encoded with special tokens on, and the contents with special tokens off. Not for
    several threads at once.
    """

    def __init__(self, folder: Path | str) -> None:
        folder = Path(folder)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        config = _read_json(folder / "config.json")
        settings = _read_json(folder / "tokenizer_config.json")
        self.context_length = context_length(config)
        self.vocab_size = int(config.get("vocab_size") or self._tokenizer.get_vocab_size())
        longest = max(map(len, self._tokenizer.get_vocab()))
        self.most_characters = self.context_length * longest  # no longer text fits the context
        added = self._tokenizer.get_added_tokens_decoder()
        self.special_tokens = {t.content: i for i, t in added.items() if t.special}
        self._special_ids = frozenset(self.special_tokens.values())
        self._names = {name: _token_text(settings.get(name)) for name in ("bos_token", "eos_token")}
        self.stop_ids = self._find_stop_ids(config, _read_json(folder / "generation_config.json"))
        bos, eos = (self._tokenizer.token_to_id(t or "") for t in self._names.values())
        self._start = [] if bos is None else [bos]
        # A base whose start token is also a stop token uses it as the border between documents.
        self._document_end = bos if bos in self.stop_ids else eos
        self._template = _load_template(folder, settings)
        self._bytes_of: dict[int, bytes] = {}
        self._byte_level = "ByteLevel" in repr(self._tokenizer.decoder)

    def _find_stop_ids(self, *configs: Mapping[str, Any]) -> frozenset[int]:
        found: set[int] = set()
        for config in configs:
            eos = config.get("eos_token_id")
            found.update(eos if isinstance(eos, list) else [] if eos is None else [eos])
        eos_id = self._tokenizer.token_to_id(self._names["eos_token"] or "")
        return frozenset(found if eos_id is None else found | {eos_id})

    def encode_text(self, text: str) -> list[int]:
        """Token ids of plain text; a special token's name in it stays ordinary text."""
        # JSON may carry halves of UTF-16 pairs, which have no UTF-8 form.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return self._encode(text, special=False)

    def encode_prompt(self, text: str) -> list[int]:
        """Token ids of a plain prompt, after the model's start token."""
        return self._start + self.encode_text(text)

    def encode_chat(
        self, messages: Sequence[Message], add_generation_prompt: bool = True
    ) -> list[int]:
        """Token ids of a conversation, ready for the assistant's answer."""
        return [
            token for ids, _ in self._chat_pieces(messages, add_generation_prompt) for token in ids
        ]

    def encode_chat_example(self, messages: Sequence[Message]) -> tuple[list[int], list[int]]:
        """Token ids and mask of a training conversation.

        The mask is 1 on what the model must learn to say: the assistant's contents and the
        token that ends each of them. Messages with weight 0 stay 0.
        """
        ids: list[int] = []
        mask: list[int] = []
        ends_answer = False
        for piece, message_number in self._chat_pieces(messages, False):
            if message_number is None:
                learned = self._end_length(piece) if ends_answer else 0
                ends_answer = False
            else:
                message = messages[message_number]
                ends_answer = message["role"] == "assistant" and message.get("weight") != 0
                learned = len(piece) if ends_answer else 0
            ids += piece
            mask += [1] * learned + [0] * (len(piece) - learned)
        return ids, mask

    def encode_completion_example(
        self, prompt: str, completion: str
    ) -> tuple[list[int], list[int]]:
        """Token ids and mask of a prompt/completion pair; only the completion is learned."""
        before = self.encode_prompt(prompt)
        after = self.encode_text(completion)
        if self._document_end is not None:
            after = [*after, self._document_end]
        return before + after, [0] * len(before) + [1] * len(after)

    def _chat_pieces(
        self, messages: Sequence[Message], add_generation_prompt: bool
    ) -> list[tuple[list[int], int | None]]:
        """The rendered conversation cut into (ids, message number or None for template text)."""
        slots = [{**m, "content": _SLOT.format(i)} for i, m in enumerate(messages)]
        pieces: list[tuple[list[int], int | None]] = []
        for i, part in enumerate(_SLOT_PATTERN.split(self._render(slots, add_generation_prompt))):
            if i % 2:
                content = str(messages[int(part)]["content"])
                pieces.append((self.encode_text(content), int(part)))
            elif part:
                pieces.append((self._encode(part, special=True), None))
        return pieces

    def _encode(self, text: str, special: bool) -> list[int]:
        """Token ids of a text; the names of special tokens in it become tokens if ``special``."""
        self._tokenizer.encode_special_tokens = not special
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def _render(self, messages: list[dict[str, Any]], add_generation_prompt: bool) -> str:
        if self._template is None:
            raise ChatFormatError(
                "This base model has no chat template: use prompts and completions with it."
            )
        names = {name: text or "" for name, text in self._names.items()}
        try:
            return self._template.render(
                messages=messages, add_generation_prompt=add_generation_prompt, **names
            )
        except jinja2.TemplateError as error:
            raise ChatFormatError(
                f"The model's chat template refused the messages: {error}"
            ) from error

    def _end_length(self, piece: list[int]) -> int:
        """How many tokens after an answer belong to its end: up to the first stop token."""
        for i, token in enumerate(piece):
            if token in self.stop_ids:
                return i + 1
            if token in self._special_ids:
                return 0
        return 0

    def token_bytes(self, token: int) -> bytes:
        """The exact bytes a token stands for (a special token: its name)."""
        if token not in self._bytes_of:
            self._bytes_of[token] = self._find_bytes(token)
        return self._bytes_of[token]

    def _find_bytes(self, token: int) -> bytes:
        text = self._tokenizer.id_to_token(token)
        if text is None:
            return b""
        if token in self._special_ids:
            return text.encode()
        if byte := _BYTE_TOKEN.fullmatch(text):
            return bytes([int(byte[1], 16)])
        if self._byte_level and all(c in _BYTE_OF_CHARACTER for c in text):
            return bytes(_BYTE_OF_CHARACTER[c] for c in text)
        return text.replace("\u2581", " ").encode()

    def is_special(self, token: int) -> bool:
        """Whether a token is a marker of the format and not text."""
        return token in self._special_ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of these tokens, without special tokens."""
        raw = b"".join(self.token_bytes(i) for i in ids if i not in self._special_ids)
        return raw.decode("utf-8", errors="replace")


class Detokenizer:
    """Turns tokens into text as they come and never emits half of a character."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        """The text that this token completes; empty while a character is unfinished."""
        if self._encoder.is_special(token):
            return ""
        return self._decoder.decode(self._encoder.token_bytes(token))


def context_length(config: Mapping[str, Any]) -> int:
    """Tokens a model can see at once, from its config.json."""
    text_config = config.get("text_config") or config
    length = int(
        text_config.get("max_position_embeddings") or text_config.get("n_positions") or 1024
    )
    window = text_config.get("sliding_window")
    # The cache of the decoder is a plain one: beyond a sliding window it would be wrong.
    if window and text_config.get("use_sliding_window", True):
        length = min(length, int(window))
    return length


def _byte_characters() -> dict[str, int]:
    """The printable characters by which byte-level tokenizers write the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in set(printable))
    return table | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTE_OF_CHARACTER = _byte_characters()


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _token_text(value: Any) -> str | None:
    return value.get("content") if isinstance(value, dict) else value


def _load_template(folder: Path, settings: Mapping[str, Any]) -> jinja2.Template | None:
    path = folder / "chat_template.jinja"
    source = path.read_text(encoding="utf-8") if path.is_file() else settings.get("chat_template")
    if isinstance(source, list):  # several named templates
        source = next((t["template"] for t in source if t.get("name") == "default"), None)
    if not source:
        return None
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols]
    )
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(source)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)
