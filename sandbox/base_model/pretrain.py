"""Make superhero-mini: train its tokenizer, pretrain it on the grammar's corpus, save the folder.

`python -m sandbox.base_model` runs this. Training uses bfloat16 and torch.compile, which is why
another machine makes slightly different weights; the shipped ones are the reference.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

from sandbox.base_model import corpus

CHAT_TEMPLATE = (
    "<|endoftext|>{% for message in messages %}<|{{ message['role'] }}|>"
    "{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what the base model becomes."""

    seed: int = 7
    vocabulary: int = 2048
    width: int = 192
    layers: int = 4
    heads: int = 6
    feed_forward: int = 512
    context: int = 512
    tokens: int = 20_000_000
    batch_tokens: int = 4096  # tokens a step
    block: int = 256  # tokens a row; every document is shorter than this
    long_share: float = 0.1  # the last share of these steps uses rows of `context` tokens
    polish_tokens: int = 6_500_000  # then: rows of whole documents, nothing cut
    polish_rate: float = 0.6  # of the learning rates above, falling to nothing
    learning_rate: float = 4e-3  # AdamW: embeddings and norms
    muon_learning_rate: float = 0.02  # Muon: the weight matrices
    sharpness: float = 1.3  # the final scale of the logits, see `sharpen`
    warmup_steps: int = 100
    tokenizer_documents: int = 30_000


def train_tokenizer(recipe: Recipe) -> Tokenizer:
    """A byte-level BPE tokenizer in which every digit is a token of its own."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocabulary,
        special_tokens=list(corpus.SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(
        islice(corpus.documents(recipe.seed), recipe.tokenizer_documents), trainer
    )
    return tokenizer


def new_model(recipe: Recipe) -> LlamaForCausalLM:
    """A Llama-architecture model with random weights."""
    torch.manual_seed(recipe.seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=recipe.vocabulary,
            hidden_size=recipe.width,
            intermediate_size=recipe.feed_forward,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            num_key_value_heads=recipe.heads,
            max_position_embeddings=recipe.context,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=[0, 4],
            pad_token_id=0,
        )
    )


def encoded(tokenizer: Tokenizer, seed: int) -> Iterator[list[int]]:
    """The corpus as token ids, one document after the other."""
    stream = corpus.documents(seed)
    while True:
        for encoding in tokenizer.encode_batch_fast(list(islice(stream, 64))):
            yield encoding.ids


Batch = tuple[torch.Tensor, torch.Tensor]  # token ids and labels, both (rows, block)


def packed(documents: Iterator[list[int]], recipe: Recipe) -> Iterator[Batch]:
    """Documents laid end to end and cut into rows: no place is lost, but most are cut in two.

    Short rows are a third faster; the last steps use long ones, so that the model has seen every
    position of its context.
    """
    steps = recipe.tokens // recipe.batch_tokens
    ids: list[int] = []
    for step in range(steps):
        while len(ids) < recipe.batch_tokens:
            ids.extend(next(documents))
        block = recipe.context if step >= steps * (1 - recipe.long_share) else recipe.block
        rows = torch.tensor(ids[: recipe.batch_tokens]).view(-1, block)
        yield rows, rows
        del ids[: recipe.batch_tokens]


def whole(documents: Iterator[list[int]], recipe: Recipe) -> Iterator[Batch]:
    """Rows of whole documents: every description stands behind its request.

    A row takes the longest waiting document that still fits, so little of it stays empty.
    """
    waiting: list[list[int]] = []
    rows = recipe.batch_tokens // recipe.block
    for _ in range(recipe.polish_tokens // recipe.batch_tokens):
        ids = torch.zeros(rows, recipe.block, dtype=torch.long)
        labels = torch.full_like(ids, -100)
        for row in range(rows):
            used = 0
            while True:
                while len(waiting) < 128:
                    waiting.append(next(documents))
                fitting = [d for d in waiting if len(d) <= recipe.block - used]
                if not fitting:
                    break
                longest = max(fitting, key=len) if used else fitting[0]
                waiting.remove(longest)
                ids[row, used : used + len(longest)] = torch.tensor(longest)
                used += len(longest)
            labels[row, :used] = ids[row, :used]
        yield ids, labels


def optimizers(model: LlamaForCausalLM, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for embeddings and norms."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "layers" in n]
    others = [p for n, p in model.named_parameters() if not (p.ndim == 2 and "layers" in n)]
    return [
        torch.optim.Muon(matrices, lr=recipe.muon_learning_rate, weight_decay=0.01),
        torch.optim.AdamW(others, lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=0.01),
    ]


def schedule(step: int, steps: int, warmup: int) -> float:
    """The share of the learning rate at this step: a short warm-up, then a cosine to 2 %."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))


def pretrain(recipe: Recipe, folder: Path, report: Callable[[str], None] = print) -> None:
    """Make the tokenizer, pretrain in two stages, save: an hour on two cores."""
    tokenizer = train_tokenizer(recipe)
    model = new_model(recipe)
    first = packed(encoded(tokenizer, recipe.seed + 1), recipe)
    train(model, first, recipe.tokens, recipe, 1.0, report)
    save(model, tokenizer, recipe, folder)
    second = whole(encoded(tokenizer, recipe.seed + 2), recipe)
    train(model, second, recipe.polish_tokens, recipe, recipe.polish_rate, report)
    sharpen(model, recipe.sharpness)
    save(model, tokenizer, recipe, folder)


def sharpen(model: LlamaForCausalLM, factor: float) -> None:
    """Scale the logits, so that temperature 1 draws what temperature 1 / factor drew before.

    A model this small leaves some chance on words that cannot follow. The last norm's weights
    are the one place that scales the logits and nothing else.
    """
    with torch.no_grad():
        model.model.norm.weight *= factor


def train(
    model: LlamaForCausalLM,
    batches: Iterator[Batch],
    tokens: int,
    recipe: Recipe,
    rate: float,
    report: Callable[[str], None],
) -> None:
    """One stage: every batch once; `report` gets a line every 100 steps."""
    model.train()
    parts = optimizers(model, recipe)
    rates = [rate * part.param_groups[0]["lr"] for part in parts]
    steps = tokens // recipe.batch_tokens

    @torch.compile(dynamic=False)
    def loss_of(ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
            logits = model.lm_head(hidden[:, :-1].flatten(0, 1))
            return torch.nn.functional.cross_entropy(logits, labels[:, 1:].flatten())

    started, recent = time.monotonic(), []
    for step, (ids, labels) in enumerate(batches):
        for part, full in zip(parts, rates, strict=True):
            for group in part.param_groups:
                group["lr"] = full * schedule(step, steps, recipe.warmup_steps)
        loss = loss_of(ids, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for part in parts:
            part.step()
            part.zero_grad(set_to_none=True)
        recent.append(loss.item())
        if (step + 1) % 100 == 0 or step + 1 == steps:
            speed = (step + 1) * recipe.batch_tokens / (time.monotonic() - started)
            loss_now = sum(recent) / len(recent)
            report(f"step {step + 1}/{steps} loss {loss_now:.4f} {speed:.0f} tokens/s")
            recent.clear()


def save(model: LlamaForCausalLM, tokenizer: Tokenizer, recipe: Recipe, folder: Path) -> None:
    """Write the Hugging Face folder: weights in float16, tokenizer, chat template, defaults."""
    folder.mkdir(parents=True, exist_ok=True)
    half = LlamaForCausalLM(model.config).half()
    half.load_state_dict(model.state_dict())
    half.generation_config.update(do_sample=True, temperature=1.0, bos_token_id=0, pad_token_id=0)
    half.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    start, *_, end = corpus.SPECIAL_TOKENS
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": recipe.context,
        "bos_token": start,
        "eos_token": end,
        "pad_token": start,
        "clean_up_tokenization_spaces": False,
    }
    write_json(folder / "tokenizer_config.json", settings)
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    defaults = {
        "name": "superhero-mini",
        "created": 1795000000,
        "learning_rate": 4e-4,
        "n_epochs": 4,
        "batch_size": 8,
    }
    write_json(folder / "sandbox.json", defaults)
    write_json(folder / "recipe.json", asdict(recipe))


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8", newline="\n")
