"""Make superhero-mini: train its tokenizer, pretrain it on the grammar's corpus, save the folder.

`python -m sandbox.base_model` runs this. Training uses bfloat16 and torch.compile, which is why
another machine makes slightly different weights; the shipped ones are the reference.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

from sandbox.base_model import corpus

UNLEARNED = -100  # the label of a token that is read and not learned, as everywhere in the field
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
    tokens: int = 10_650_000  # padding included
    batch_tokens: int = 8192  # tokens a step
    lengths: tuple[int, ...] = (176, 224, 512)  # a document fills a row of the first that holds it
    learning_rate: float = 4e-3  # AdamW: embeddings and norms
    muon_learning_rate: float = 0.02  # Muon: the weight matrices
    sharpness: float = 1.3  # the final scale of the logits, see `sharpen`
    warmup_steps: int = 100
    fall: float = 0.4  # the last share of the steps, in which the learning rate falls to nothing
    tokenizer_documents: int = 30_000

    @property
    def steps(self) -> int:
        return self.tokens // self.batch_tokens


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
        map(corpus.text_of, islice(corpus.documents(recipe.seed), recipe.tokenizer_documents)),
        trainer,
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


Batch = tuple[torch.Tensor, torch.Tensor]  # token ids and labels, both (rows, length)


def encoded(tokenizer: Tokenizer, document: corpus.Document) -> tuple[list[int], list[int]]:
    """A document's token ids and labels: -100 where the text is only read."""
    ids, labels = [], []
    for text, learned in document:
        part = tokenizer.encode(text).ids
        ids += part
        labels += part if learned else [UNLEARNED] * len(part)
    return ids, labels


def batches(tokenizer: Tokenizer, recipe: Recipe, seed: int) -> Iterator[Batch]:
    """Batches without end: a document a row, rows of one length, as many as `batch_tokens` hold.

    Each document stands alone, so that a power can only come from its own request.
    """
    waiting: dict[int, list[tuple[list[int], list[int]]]] = {n: [] for n in recipe.lengths}
    for document in corpus.documents(seed):
        row = encoded(tokenizer, document)
        length = next(n for n in recipe.lengths if len(row[0]) <= n)
        rows = waiting[length]
        rows.append(row)
        if len(rows) == recipe.batch_tokens // length:
            ids = torch.zeros(len(rows), length, dtype=torch.long)
            labels = torch.full_like(ids, UNLEARNED)
            for place, (row_ids, row_labels) in enumerate(rows):
                ids[place, : len(row_ids)] = torch.tensor(row_ids)
                labels[place, : len(row_ids)] = torch.tensor(row_labels)
            rows.clear()
            yield ids, labels


def optimizers(model: LlamaForCausalLM, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for embeddings and norms."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "layers" in n]
    others = [p for n, p in model.named_parameters() if not (p.ndim == 2 and "layers" in n)]
    return [
        torch.optim.Muon(matrices, lr=recipe.muon_learning_rate, weight_decay=0.01),
        torch.optim.AdamW(others, lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=0.01),
    ]


def schedule(step: int, recipe: Recipe) -> float:
    """The share of the learning rate at this step: a short warm-up, all of it, a straight fall."""
    left = (recipe.steps - step) / (recipe.steps * recipe.fall)
    return min(1.0, (step + 1) / recipe.warmup_steps, left)


def pretrain(recipe: Recipe, folder: Path, report: Callable[[str], None] = print) -> None:
    """Make the tokenizer, pretrain, save: half an hour on one core.

    A run that was broken off goes on from `folder`/unfinished.pt.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(recipe)
    model = new_model(recipe)
    train(model, tokenizer, recipe, folder, report)
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
    tokenizer: Tokenizer,
    recipe: Recipe,
    folder: Path,
    report: Callable[[str], None],
) -> None:
    """All steps; every 100, `report` gets a line and `folder` what is needed to go on."""
    model.train()
    parts = optimizers(model, recipe)
    rates = [part.param_groups[0]["lr"] for part in parts]
    unfinished, done = folder / "unfinished.pt", 0
    if unfinished.exists():
        state = torch.load(unfinished, weights_only=True)
        done = state["steps"]
        model.load_state_dict(state["model"])
        for part, saved in zip(parts, state["parts"], strict=True):
            part.load_state_dict(saved)

    @torch.compile(dynamic=False)
    def loss_of(ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
            logits = model.lm_head(hidden[:, :-1].flatten(0, 1))
            return torch.nn.functional.cross_entropy(
                logits, labels[:, 1:].flatten(), ignore_index=UNLEARNED
            )

    started, recent = time.monotonic(), []
    stream = islice(batches(tokenizer, recipe, recipe.seed + 1), done, recipe.steps)
    for step, (ids, labels) in enumerate(stream, start=done):
        for part, full in zip(parts, rates, strict=True):
            for group in part.param_groups:
                group["lr"] = full * schedule(step, recipe)
        loss = loss_of(ids, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for part in parts:
            part.step()
            part.zero_grad(set_to_none=True)
        recent.append(loss.item())
        if (step + 1) % 100 == 0 or step + 1 == recipe.steps:
            speed = (step + 1 - done) * recipe.batch_tokens / (time.monotonic() - started)
            loss_now = sum(recent) / len(recent)
            report(f"step {step + 1}/{recipe.steps} loss {loss_now:.4f} {speed:.0f} tokens/s")
            recent.clear()
            state = {"steps": step + 1, "model": model.state_dict()}
            state["parts"] = [part.state_dict() for part in parts]
            torch.save(state, unfinished.with_suffix(".new"))
            unfinished.with_suffix(".new").replace(unfinished)
    unfinished.unlink(missing_ok=True)


def save(model: LlamaForCausalLM, tokenizer: Tokenizer, recipe: Recipe, folder: Path) -> None:
    """Write the Hugging Face folder: weights in float16, tokenizer, chat template, defaults."""
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
