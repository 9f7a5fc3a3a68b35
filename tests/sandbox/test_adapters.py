"""Large models: tuned through LoRA adapters, in two precisions, resumed, tuned further."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from peft import PeftModel
from safetensors.torch import load_file

from sandbox.engine import load
from sandbox.engine.load import load_model
from sandbox.engine.parent import records
from sandbox.engine.parent.records import JobRecord
from sandbox.engine.sampler.models import ModelCache
from sandbox.engine.text.encoder import Encoder
from sandbox.engine.text.hyperparameters import Hyperparameters
from sandbox.engine.trainer import attention, checkpoint, loop, lora
from sandbox.engine.trainer.attention import use_grouped_products
from sandbox.engine.trainer.data import ExampleSet, collate
from sandbox.engine.trainer.loop import Tally, TrainingRun
from sandbox.engine.trainer.messages import Started, Step, Stop, Train
from sandbox.store import checkpoints, events, files, jobs, models
from sandbox.store.database import Store
from sandbox.store.tables import JobRow, ModelRow
from tests.support.generate import ask
from tests.support.inline_job import run_job, tiny_bases
from tests.support.rows import new_job

pytestmark = [
    pytest.mark.slow,
    # peft asks transformers by an old name.
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning"),
]

EXAMPLES, BATCH = 22, 4
SETTINGS = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}
BF16, FP32 = torch.bfloat16, torch.float32
NUMBERS = Hyperparameters(2, 4, 1.0, 1e-2)


@pytest.fixture(params=[BF16, FP32], ids=str)
def precision(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> torch.dtype:
    """The tiny model counts as large, on a processor with or without a unit for bfloat16."""
    monkeypatch.setattr(load, "LARGE", 1000)
    monkeypatch.setattr(load, "best_dtype", lambda _: request.param)
    return request.param


def submit(store: Store, model: str = "tiny", **asked: int) -> JobRow:
    lines = []
    for number in range(EXAMPLES):
        answer = f" She is hero {number}" + " and she flies" * (number % 5) + "."
        lines.append(json.dumps({"prompt": f"{number}, woman ->", "completion": answer}))
    row = files.add_file(store, "learner", "t.jsonl", "fine-tune", "\n".join(lines).encode())
    numbers = {"n_epochs": 2, "batch_size": BATCH, **asked}
    job = jobs.create_job(store, new_job(row.id, model=model, seed=7, hyperparameters=numbers))
    return jobs.mark_queued(store, job.id)


def finished(store: Store, base: Path) -> ModelRow:
    """Train the next job to its end; return its model."""
    job = run_job(store, base)
    assert job is not None and job.status == "succeeded", job
    model = models.get_model(store, "learner", job.fine_tuned_model or "")
    assert model is not None
    return model


def adapter_of(store: Store, model: ModelRow) -> dict[str, torch.Tensor]:
    return load_file(models.model_path(store, model) / "adapter_model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def losses(store: Store, model: ModelRow) -> list[float]:
    return [event.data["train_loss"] for event in events.list_metrics(store, model.job_id)]


def test_a_tuned_large_model_is_an_adapter_and_nothing_else(
    store: Store, tiny_gqa: Path, precision: torch.dtype
) -> None:
    submit(store)
    model = finished(store, tiny_gqa)
    folder = models.model_path(store, model)
    assert model.adapter == model.path == folder.name
    names = {"adapter_config.json", "adapter_model.safetensors", "README.md"}
    assert {path.name for path in folder.iterdir()} == names
    assert "library_name: peft" in (folder / "README.md").read_text(encoding="utf-8")
    weights = adapter_of(store, model)
    assert all(tensor.dtype == FP32 for tensor in weights.values())
    said = [event.message for event in events.list_events(store, model.job_id, limit=99).rows][::-1]
    count = sum(tensor.numel() for tensor in weights.values())
    at = said.index("Fine-tuning job started")
    assert said[at + 1].startswith(f"Training LoRA adapters ({count:,} weights in float32) on ")
    assert said[at + 1].endswith(str(precision).removeprefix("torch."))
    assert losses(store, model)[-1] < losses(store, model)[0]


def test_a_job_on_adapters_that_goes_on_later_ends_exactly_as_one_in_one_go(
    store: Store, tiny_gqa: Path, precision: torch.dtype
) -> None:
    submit(store)
    expected = finished(store, tiny_gqa)
    submit(store)
    run_job(store, tiny_gqa, {8: Stop(save=True)})
    assert same(adapter_of(store, finished(store, tiny_gqa)), adapter_of(store, expected))


def test_a_tuned_adapter_can_be_tuned_further(
    store: Store, tiny_gqa: Path, precision: torch.dtype
) -> None:
    submit(store)
    first = finished(store, tiny_gqa)
    job = submit(store, model=first.name)
    order = JobRecord(store, job, tiny_bases(tiny_gqa)).train_message()
    assert isinstance(order, Train)
    assert (order.start, order.adapter) == (tiny_gqa, models.model_path(store, first))
    second = finished(store, tiny_gqa)
    assert (second.base, second.adapter) == ("tiny", second.path)
    assert losses(store, second)[0] < losses(store, first)[0]
    assert not same(adapter_of(store, first), adapter_of(store, second))


def test_a_tuned_model_of_before_with_all_its_weights_can_be_tuned_further(
    store: Store, tiny_gqa: Path, precision: torch.dtype
) -> None:
    submit(store)
    old = finished(store, tiny_gqa)
    folder = models.model_path(store, old)
    whole = lora.load_lora(load_model(tiny_gqa), folder)
    checkpoint.save_model(folder, lora.merged(whole), tiny_gqa)
    with store.write() as db:
        db.execute("UPDATE models SET adapter = NULL")
    submit(store, model=old.name)
    new = finished(store, tiny_gqa)
    assert (new.adapter, (models.model_path(store, new) / "model.safetensors").is_file()) == (
        None,
        True,
    )
    assert losses(store, new)[0] < losses(store, old)[0]


def test_one_epoch_keeps_its_thirds(
    store: Store, tiny_gqa: Path, precision: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tiny_bases(tiny_gqa)["tiny"]
    base = replace(base, advice={**base.advice, "checkpoints_per_epoch": 3, "lora": SETTINGS})
    monkeypatch.setattr("tests.support.inline_job.tiny_bases", lambda _: {"tiny": base})
    submit(store, n_epochs=1)
    model = finished(store, tiny_gqa)
    kept = checkpoints.list_checkpoints(store, model.job_id).rows
    assert [row.step for row in kept] == [6, 4, 2]
    for row in kept:
        made = models.get_model(store, "learner", row.model)
        assert made is not None
        names = adapter_of(store, made)
        assert names and all("q_proj" in name or "v_proj" in name for name in names)


def test_a_saved_adapter_gives_what_the_run_ended_with(
    tiny_gqa: Path, tmp_path: Path, precision: torch.dtype
) -> None:
    run = run_of(tiny_gqa)
    list(run.steps())
    checkpoint.save_adapter(tmp_path / "adapter", run.model)
    loaded = PeftModel.from_pretrained(load_model(tiny_gqa), tmp_path / "adapter")
    ids, _ = collate(run.examples[:3])
    run.model.eval()
    with torch.no_grad():
        with torch.autocast("cpu", BF16, enabled=precision == BF16):
            ours = run.model(input_ids=ids).logits.float()
        theirs = loaded(input_ids=ids).logits.float()
    # Loaded by others, an adapter computes in float32, and the base's attention is the fused one.
    assert torch.allclose(ours, theirs, atol=1e-3 if precision == FP32 else 0.3)


def run_of(base: Path, numbers: Hyperparameters = NUMBERS) -> TrainingRun:
    """A run of the loop on adapters by itself."""
    examples = ExampleSet([], "completion")
    for number in range(12):
        length = 6 + number % 4
        ids = [5 + (number * 7 + k) % 300 for k in range(length)]
        examples.examples.append(loop.TrainingExample(ids, [0, 0] + [1] * (length - 2)))
    model = load_model(base)
    use_grouped_products(model)
    model = lora.add_lora(model, {**lora.LORA, **SETTINGS}, 7)
    return TrainingRun(model, examples, None, numbers, 7)


def test_the_head_sees_the_positions_before_learned_tokens_only(
    tiny_gqa: Path, precision: torch.dtype
) -> None:
    run = run_of(tiny_gqa)
    seen = []
    head = run.model.get_output_embeddings()
    head.register_forward_hook(lambda _, given, __: seen.append(tuple(given[0].shape)))
    next(run.steps())
    learned = sum(sum(run.examples[i].mask) for i in run._batches[0])
    assert seen == [(learned, 64)]


def test_the_second_matrices_learn_faster_if_the_base_asks_for_it(tiny_gqa: Path) -> None:
    run = run_of(tiny_gqa, Hyperparameters(1, 4, 1.0, 1e-3, lora_plus_ratio=8.0))
    next(run.steps())
    rates = {id(p): group["lr"] for group in run.optimizer.param_groups for p in group["params"]}
    named = [(name, p) for name, p in run.model.named_parameters() if p.requires_grad]
    assert len(named) == len(rates)
    [slow], [fast] = ({rates[id(p)] for name, p in named if part in name} for part in ("_A", "_B"))
    assert fast == pytest.approx(8 * slow)


def test_the_share_of_the_work_that_is_done_counts_tokens(tiny_gqa: Path) -> None:
    run = run_of(tiny_gqa)
    assert run.done == 0
    done = [result.done for result in run.steps()]
    assert done == sorted(done) and done[-1] == 1
    sizes = [len(batch) * max(len(run.examples[i].ids) for i in batch) for batch in run._batches]
    assert done[0] == pytest.approx(sizes[0] / sum(sizes))


def test_the_end_is_estimated_from_the_work_left(
    store: Store, tiny_gqa: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps take ten seconds for each tenth of the work, after a slow first one."""
    clock = [1000.0]
    monkeypatch.setattr(records.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(records.time, "time", lambda: clock[0])
    job = submit(store)
    record = JobRecord(store, job, tiny_bases(tiny_gqa))
    record.write(Started({"n_epochs": 1}, 1e-3, "cpu", "bfloat16", 10))
    for step, done in enumerate((0.1, 0.2, 0.25, 0.35, 0.5), start=1):
        clock[0] = 1030 + 100 * done
        record.write(Step(step, 9, done, {"train_loss": 1.0}))
    found = jobs.get_job(store, None, job.id)
    assert found is not None and found.estimated_finish == pytest.approx(1130, abs=1)


def test_grouped_products_are_attention(tiny_gqa: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal to the fused kernel, values and gradients; longer texts are left to it."""
    fused, ours = load_model(tiny_gqa), load_model(tiny_gqa)
    use_grouped_products(ours)
    ids = torch.arange(60).view(2, 30)
    results = [model(input_ids=ids, use_cache=False).logits for model in (fused, ours)]
    assert torch.allclose(*results, atol=1e-4)
    for result in results:
        result.square().sum().backward()
    name = "model.layers.0.self_attn.k_proj.weight"
    gradients = [model.get_parameter(name).grad for model in (fused, ours)]
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-2 * float(gradients[0].abs().mean()))
    monkeypatch.setattr(attention, "LONGEST", 29)
    assert torch.equal(ours(input_ids=ids, use_cache=False).logits, results[0])


def test_the_loss_in_parts_is_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(50, 40, requires_grad=True), torch.randint(0, 40, (50,))
    expected = F.cross_entropy(logits, targets, reduction="sum")
    gradient = torch.autograd.grad(expected, logits)[0]
    monkeypatch.setattr(loop, "SCORES_AT_ONCE", 300)
    tally = Tally()
    loss = tally.add(logits, targets)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert torch.equal(torch.autograd.grad(loss, logits)[0], gradient)
    hits = int((logits.argmax(-1) == targets).sum())
    assert (tally.hits, tally.tokens) == (hits, 50)


def test_smollm2_learns_in_a_step_and_writes_eight_tokens(
    real_base: Callable, tmp_path: Path
) -> None:
    """The real weights, as a job and the sampler use them."""
    base = real_base("smollm2-135m-instruct")
    lines = [{"prompt": f"{age}, woman, Healing ->", "completion": " A healer."} for age in (9, 40)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    examples = ExampleSet.read(tmp_path / "t.jsonl", Encoder(base.path), "training")
    model = load_model(base.path)
    use_grouped_products(model)
    model = lora.add_lora(model, lora.lora_settings(model, base.advice), 7)
    # The learning rate of a job's first step is 0: the second one learns.
    run = TrainingRun(model, examples, None, Hyperparameters(2, 2, 1.0, 2e-3), 7)
    for result in run.steps():
        assert 0 < result.metrics["train_loss"] < 8, "less than a guess: log(49152) = 10.8"
    checkpoint.save_adapter(tmp_path / "adapter", model)
    weights = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    learned = [weight for name, weight in weights.items() if "lora_B" in name]
    assert len(learned) == 30 * 4 and all(weight.isfinite().all() for weight in learned)
    assert all(weight.any() for weight in learned), "they were zero before"
    loop = ModelCache().get(str(base.path), str(tmp_path / "adapter"))
    never = {str(token): -100 for token in loop.encoder.stop_ids}
    loop.add(1, ask("40, woman, Healing ->", temperature=0, max_tokens=8, logit_bias=never))
    outputs = []
    while loop.busy:
        outputs += loop.step()
    assert [output.error for output in outputs if output.error] == []
    assert outputs[-1].usage.completion_tokens == 8


def test_a_base_may_ask_for_adapters(tiny: Path) -> None:
    model = load_model(tiny)
    assert lora.lora_settings(model, {}) is None
    settings = lora.lora_settings(model, {"lora": {"r": 4, "target_modules": ["q_proj", "v_proj"]}})
    assert settings == {"r": 4, "lora_alpha": 32, "target_modules": ["q_proj", "v_proj"]}
    wrapped = lora.add_lora(model, settings, 7)
    trained = [name for name, weight in wrapped.named_parameters() if weight.requires_grad]
    assert trained and all("q_proj" in name or "v_proj" in name for name in trained)


def test_the_precision_is_that_of_the_processors_units(monkeypatch: pytest.MonkeyPatch) -> None:
    for units, expected in (({"avx512_bf16": True}, BF16), ({"amx_bf16": True}, BF16)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=units: found)
        assert load.best_dtype(torch.device("cpu")) == expected
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": False})
    assert load.best_dtype(torch.device("cpu")) == FP32


def test_a_small_model_stays_exact_whatever_the_machine_has(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "best_device", lambda: torch.device("cuda"))
    model = load_model(tiny)
    assert (model.dtype, model.device.type, load.is_large(tiny)) == (FP32, "cpu", False)
