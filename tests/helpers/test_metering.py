"""Every paid call of a client passes by the diary; real sockets, a scripted provider."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from helpers.connect import connect, connect_async
from helpers.follow import follow
from helpers.jsonl import write_jsonl
from helpers.money import metering
from helpers.money.costs import usage_cost
from helpers.money.metering import NotAnApi
from helpers.money.meters import look_at_run
from helpers.money.spending import FILE, BudgetExceeded, diary, spent
from helpers.money.worst_case import LONGEST_ANSWER, batch_cost, most_billed
from tests.support.live_sandbox import LiveSandbox, chat_examples, live_sandbox
from tests.support.provider import Answer, Provider, completion, error
from tests.support.proxy import Proxy

__all__ = ["live_sandbox"]

LUNA, BASE = "gpt-6-luna", "gpt-4.1-mini-2025-04-14"
HELLO = [{"role": "user", "content": "Hello!"}]
Use = Callable[[Provider | Proxy], None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Use:
    """Make the stand-in the configured provider."""

    def configure(provider: Provider | Proxy) -> None:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.url)
        monkeypatch.setenv("OPENAI_API_KEY", "a-key-of-the-tests")
        monkeypatch.setenv("HEROES_GENERATOR_MODEL", LUNA)

    monkeypatch.setenv("HEROES_MY", str(tmp_path))
    monkeypatch.setenv("HEROES_ENV_FILE", str(tmp_path / ".env"))
    monkeypatch.delenv("HEROES_MAX_USD", raising=False)
    return configure


def good(number: int, body: dict[str, Any]) -> Answer:
    return 200, {}, completion(tokens_in=1000, tokens_out=500)


def stream(*chunks: dict[str, Any]) -> Answer:
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + ["data: [DONE]\n\n"]
    return 200, {"content-type": "text/event-stream"}, "".join(lines)


def piece(text: str) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "choices": [choice]}


USAGE = {**piece(""), "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}


def test_an_answer_is_written_down_with_its_price(use: Use) -> None:
    with Provider(good) as provider:
        use(provider)
        with connect() as client:
            client.chat.completions.create(model=LUNA, messages=HELLO)
    total = spent()
    assert total.usd == pytest.approx(usage_cost(LUNA, 1000, 500))
    assert (total.calls, total.open_usd) == (1, 0)
    assert total.entries[0].output_tokens == 500


def test_cached_tokens_are_cheaper(use: Use) -> None:
    answer = completion(tokens_in=1000, tokens_out=0)
    answer["usage"]["prompt_tokens_details"] = {"cached_tokens": 900}
    with Provider(lambda number, body: (200, {}, answer)) as provider:
        use(provider)
        with connect() as client:
            client.chat.completions.create(model=LUNA, messages=HELLO)
    assert spent().usd == pytest.approx((100 * 0.10 + 900 * 0.01) / 1e6)


def test_a_stream_is_read_and_counted(use: Use) -> None:
    with Provider(lambda number, body: stream(piece("Hel"), piece("lo"), USAGE)) as provider:
        use(provider)
        with connect() as client:
            told = client.chat.completions.create(model=LUNA, messages=HELLO, stream=True)
            said = [each.choices[0].delta.content for each in told if each.choices]
    assert said == ["Hel", "lo"]
    assert (spent().entries[0].input_tokens, spent().open_usd) == (7, 0)


def test_a_stream_without_usage_counts_as_its_worst(use: Use) -> None:
    with Provider(lambda number, body: stream(piece("Hello"))) as provider:
        use(provider)
        with connect() as client:
            list(
                client.chat.completions.create(
                    model=LUNA, messages=HELLO, stream=True, max_completion_tokens=1000
                )
            )
    assert 0.0005 < spent().open_usd < 0.0006


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_a_refused_call_costs_nothing(use: Use, status: int) -> None:
    answer: Answer = (status, {"x-should-retry": "false"}, error("x"))
    with Provider(lambda number, body: answer) as provider:
        use(provider)
        with connect() as client, pytest.raises(openai.APIStatusError):
            client.chat.completions.create(model=LUNA, messages=HELLO)
    assert (spent().usd, spent().calls) == (0, 0)


def test_a_call_that_is_repeated_is_paid_once(use: Use) -> None:
    def script(number: int, body: dict[str, Any]) -> Answer:
        return (429, {"retry-after-ms": "1"}, error(None)) if number < 2 else good(number, body)

    with Provider(script) as provider:
        use(provider)
        with connect() as client:
            client.chat.completions.create(model=LUNA, messages=HELLO)
        assert len(provider.calls) == 3
    assert spent().calls == 1


def test_the_ceiling_stops_a_call_before_it_leaves(
    use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEROES_MAX_USD", "0.001")
    with Provider(good) as provider:
        use(provider)
        with connect() as client:
            with pytest.raises(BudgetExceeded, match="Nothing was called"):
                client.chat.completions.create(model=LUNA, messages=HELLO)  # up to 128,000 tokens
            assert provider.calls == []
            client.chat.completions.create(model=LUNA, messages=HELLO, max_completion_tokens=1000)
        assert len(provider.calls) == 1


def test_side_by_side_calls_keep_the_ceiling(use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer costs a quarter of its worst case; none that left broke the ceiling."""
    monkeypatch.setenv("HEROES_MAX_USD", "0.004")

    def script(number: int, body: dict[str, Any]) -> Answer:
        return 200, {}, completion(tokens_in=5, tokens_out=body["max_completion_tokens"] // 4)

    async def ask_all() -> list[Any]:
        async with connect_async() as client:
            calls = [
                client.chat.completions.create(
                    model=LUNA, messages=HELLO, max_completion_tokens=1000
                )
                for _ in range(60)
            ]
            return await asyncio.gather(*calls, return_exceptions=True)

    with Provider(script) as provider:
        use(provider)
        answers = asyncio.run(ask_all())
        refused = [each for each in answers if isinstance(each, BudgetExceeded)]
        assert len(provider.calls) == len(answers) - len(refused)
    assert refused
    assert all(each in refused or each.usage for each in answers)
    assert len(provider.calls) * 0.000125 <= spent().usd <= 0.004
    assert spent().open_usd == 0


def test_an_unknown_price_is_noted_not_guessed(use: Use) -> None:
    vector = {"object": "embedding", "index": 0, "embedding": [0.5, 0.5]}
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    answer = {"object": "list", "model": "m", "data": [vector], "usage": usage}
    with Provider(lambda number, body: (200, {}, answer)) as provider:
        use(provider)
        with connect() as client:
            client.embeddings.create(model="mystery", input="Hello")
    assert (spent().unknown, spent().entries[0].input_tokens) == (1, 3)


def test_a_web_page_is_no_api(use: Use) -> None:
    page = (200, {"content-type": "text/html; charset=utf-8"}, "<html></html>")
    with Provider(lambda number, body: page) as provider:
        use(provider)
        with connect() as client, pytest.raises(NotAnApi, match="usually ends in /v1"):
            client.chat.completions.create(model=LUNA, messages=HELLO)


@pytest.fixture
def paid(use: Use, live_sandbox: LiveSandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAI]:
    """A client of a real sandbox that plays a paid provider."""
    names = {BASE: "superhero-mini"}
    with Proxy(live_sandbox.url, key=live_sandbox.key, names=names) as proxy:
        use(proxy)
        with connect() as client:
            yield client


def new_job(client: OpenAI, training_file: str, n_epochs: int) -> FineTuningJob:
    numbers = {"hyperparameters": {"n_epochs": n_epochs}}
    return client.fine_tuning.jobs.create(
        model=BASE,
        training_file=training_file,
        method={"type": "supervised", "supervised": numbers},
    )


def test_a_job_from_a_cell_is_paid_too(paid: OpenAI, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "train.jsonl", chat_examples(30))
    file = paid.files.create(file=path, purpose="fine-tune")
    job = new_job(paid, file.id, 2)
    aside = path.stat().st_size / 4 * 2 * 5.00 / 1e6
    assert spent().open_usd == pytest.approx(aside, rel=0.01)
    job = follow(paid, job.id, every=0.2)
    assert job.status == "succeeded"
    assert spent().open_usd == 0
    assert spent().usd == pytest.approx(job.trained_tokens * 5.00 / 1e6)
    assert spent().usd < aside


def test_the_ceiling_stops_a_job(
    paid: OpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_jsonl(tmp_path / "train.jsonl", chat_examples(30))
    file = paid.files.create(file=path, purpose="fine-tune")
    before = len(list(paid.fine_tuning.jobs.list()))
    monkeypatch.setenv("HEROES_MAX_USD", "0.01")
    with pytest.raises(BudgetExceeded, match="Nothing was called"):
        new_job(paid, file.id, 50)
    metering._sizes.clear()  # as in a new program
    with pytest.raises(BudgetExceeded, match=f"files.retrieve.'{file.id}'"):
        new_job(paid, file.id, 1)
    assert len(list(paid.fine_tuning.jobs.list())) == before
    paid.files.retrieve(file.id)
    job = new_job(paid, file.id, 1)
    assert 0 < spent().open_usd <= 0.01
    paid.fine_tuning.jobs.cancel(job.id)


def test_a_refused_job_costs_nothing(paid: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError):
        new_job(paid, "file-nowhere", 1)
    assert (spent().usd, spent().calls) == (0, 0)


@pytest.mark.parametrize(
    ("status", "tokens", "usd"),
    [
        ("succeeded", 100_000, 0.5),
        ("failed", None, 0),
        ("cancelled", 2_000, 0.01),
        ("cancelled", None, 2.0),
        ("running", None, 2.0),
    ],
)
def test_a_job_is_settled_when_it_has_ended(
    use: Use, status: str, tokens: int | None, usd: float
) -> None:
    entry = diary().reserve("training", BASE, 2.0)
    diary().belongs_to(entry, "ftjob-1")
    other = {"id": "ftjob-2", "status": "succeeded", "trained_tokens": 5}
    for job in (other, {"id": "ftjob-1", "status": status, "trained_tokens": tokens}):
        for _ in range(2):  # twice is once
            look_at_run(json.dumps(job).encode())
    assert spent().usd == pytest.approx(usd)


def batch_line(number: int, max_tokens: int = 1000) -> dict[str, Any]:
    body = {"model": LUNA, "messages": HELLO, "max_completion_tokens": max_tokens}
    url = "/v1/chat/completions"
    return {"custom_id": f"row-{number}", "method": "POST", "url": url, "body": body}


def test_a_batch_is_paid_at_its_own_price(
    use: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_jsonl(tmp_path / "batch.jsonl", [batch_line(n) for n in range(10)])
    file = {"id": "file-b", "object": "file", "purpose": "batch", "bytes": 1, "filename": "b"}
    usage = {"input_tokens": 100, "output_tokens": 5000, "total_tokens": 5100}
    done = {"id": "batch_1", "object": "batch", "status": "completed", "usage": usage}

    def script(number: int, body: dict[str, Any]) -> Answer:
        return 200, {}, file if "input_file_id" not in body and number in (0, 2) else done

    with Provider(script) as provider:
        use(provider)
        monkeypatch.setenv("HEROES_MAX_USD", "0.003")
        with connect() as client:
            client.files.create(file=path, purpose="batch")
            job = client.batches.create(
                input_file_id="file-b",
                endpoint="/v1/chat/completions",
                completion_window="24h",
            )
            assert 10 * 1000 * 0.25 / 1e6 < spent().open_usd < 0.003
            # A second one would be too much, whatever the first one really costs.
            client.files.create(file=path, purpose="batch")
            with pytest.raises(BudgetExceeded, match="Nothing was called"):
                client.batches.create(
                    input_file_id="file-b",
                    endpoint="/v1/chat/completions",
                    completion_window="24h",
                )
            with pytest.raises(BudgetExceeded, match="another program uploaded"):
                client.batches.create(
                    input_file_id="file-x",
                    endpoint="/v1/chat/completions",
                    completion_window="24h",
                )
            assert len(provider.calls) == 3
            client.batches.retrieve(job.id)
    assert spent().open_usd == 0
    assert spent().usd == pytest.approx((100 * 0.05 + 5000 * 0.25) / 1e6)


def test_what_a_batch_can_cost() -> None:
    lines = [json.dumps(batch_line(n)).encode() for n in range(3)]
    upload = b"--boundary\r\nContent-Type: x\r\n\r\n" + b"\n".join(lines) + b"\r\n--boundary--"
    model, usd = batch_cost(upload) or ("", None)
    assert model == LUNA
    assert usd == pytest.approx((sum(map(len, lines)) * 0.05 + 3000 * 0.25) / 1e6, rel=0.01)
    mystery = json.dumps({**batch_line(1), "body": {"model": "mystery"}}).encode()
    assert batch_cost(mystery) == ("mystery", None)
    for nothing in (b"", b'{"custom_id": 1}', b'{"custom_id"', b'{"messages": []}'):
        assert batch_cost(nothing) is None


def test_the_sandbox_is_free_and_leaves_no_trace(
    use: Use, live_sandbox: LiveSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", live_sandbox.url)
    monkeypatch.setenv("OPENAI_API_KEY", live_sandbox.key)
    monkeypatch.setenv("HEROES_MAX_USD", "0")
    with connect() as client:
        client.chat.completions.create(
            model="superhero-mini", messages=HELLO, max_completion_tokens=2
        )
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    ("what", "body", "tokens_out"),
    [
        ("chat", {}, LONGEST_ANSWER),
        ("chat", {"max_completion_tokens": 10, "n": 3}, 30),
        ("chat", {"max_tokens": 10, "n": None}, 10),
        ("completion", {"prompt": "Hi"}, 16),
        ("completion", {"prompt": ["a", "b"], "max_tokens": 5, "n": 2}, 20),
        ("completion", {"prompt": [1, 2, 3], "max_tokens": 5}, 5),
        ("completion", {"prompt": [[1, 2], [3]], "max_tokens": 5, "best_of": 4}, 40),
        ("response", {"max_output_tokens": 7}, 7),
        ("embeddings", {"input": "Hi"}, 0),
    ],
)
def test_the_worst_case(what: str, body: dict[str, Any], tokens_out: int) -> None:
    assert most_billed(what, body, 100) == (100, tokens_out)
