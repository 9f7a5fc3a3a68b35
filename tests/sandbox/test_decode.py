"""The decode loop: against the naive loop, in any company, with everything a request may ask."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedModel

from sandbox.engine.load import load_model
from sandbox.engine.sampler import admission, decode, naive
from sandbox.engine.sampler.admission import Admission
from sandbox.engine.sampler.cache import SlotCache, Text
from sandbox.engine.sampler.decode import DecodeLoop
from sandbox.engine.sampler.forward import Forward, LlamaForward, make_forward
from sandbox.engine.sampler.general import GeneralForward
from sandbox.engine.sampler.matrix import Matrix
from sandbox.engine.sampler.messages import Delta, EngineError, Generate, TokenInfo, Usage
from sandbox.engine.sampler.text_stream import TextStream
from sandbox.engine.text.encoder import Encoder
from sandbox.parameters import Sampling
from tests.support.generate import ask, changed
from tests.support.tiny import CONTEXT, kept_base, make_base

pytestmark = pytest.mark.slow

ENDLESS = {0: -100.0, 4: -100.0}  # the tokens that end a text are never chosen
PROMPTS = ["40, woman, Healing ->", "He flies", "", "A detective listens quietly to the rain é"]


@pytest.fixture(scope="module")
def base(tiny: Path) -> Path:
    return tiny


@pytest.fixture(scope="module")
def encoder(base: Path) -> Encoder:
    return Encoder(base)


@pytest.fixture(scope="module")
def forward(base: Path) -> Forward:
    return make_forward(load_model(base))


@pytest.fixture
def loop(forward: Forward, encoder: Encoder) -> DecodeLoop:
    return DecodeLoop(forward, encoder)


def answer(loop: DecodeLoop, *requests: Generate) -> list[tuple[list[Delta], Usage]]:
    """Run requests together to their ends."""
    deltas: dict[int, list[Delta]] = {i: [] for i in range(len(requests))}
    usage: dict[int, Usage] = {}
    for number, request in enumerate(requests):
        loop.add(number, request)
    while loop.busy:
        for output in loop.step():
            assert output.error is None
            deltas[output.id] += output.deltas
            if output.usage is not None:
                usage[output.id] = output.usage
    return [(deltas[i], usage[i]) for i in range(len(requests))]


def text_of(deltas: list[Delta], choice: int = 0) -> str:
    return "".join(delta.text for delta in deltas if delta.choice == choice)


def texts(loop: DecodeLoop, *requests: Generate) -> list[str]:
    return [text_of(deltas) for deltas, _ in answer(loop, *requests)]


def many(count: int) -> list[Generate]:
    """Requests of all lengths and temperatures."""
    draw = random.Random(0)
    return [
        ask(
            "".join(draw.choice("abc ->é,40") for _ in range(draw.randint(0, 60))),
            seed=i,
            temperature=draw.choice([0, 0.5, 1.0, 1.5]),
            top_p=draw.choice([1.0, 0.8]),
            max_tokens=draw.randint(1, 60),
            logit_bias=ENDLESS,
        )
        for i in range(count)
    ]


def test_a_small_llama_computes_in_float64(forward: Forward) -> None:
    assert isinstance(forward, LlamaForward)
    assert forward.embedding.dtype == torch.float64


def test_every_text_is_the_same_alone_and_in_any_company(loop: DecodeLoop) -> None:
    requests = many(48)
    alone = [texts(loop, request)[0] for request in requests]
    assert texts(loop, *requests) == alone
    for seed in range(3):
        order = random.Random(seed).sample(range(48), 48)
        mixed = texts(loop, *(requests[i] for i in order))
        assert mixed == [alone[i] for i in order]


def test_texts_do_not_depend_on_who_joins_later_or_on_slots(
    forward: Forward, encoder: Encoder
) -> None:
    requests = many(20)
    expected = texts(DecodeLoop(forward, encoder), *requests)
    loop = DecodeLoop(forward, encoder, max_slots=3)
    found: dict[int, str] = dict.fromkeys(range(20), "")
    waiting = list(enumerate(requests))
    while waiting or loop.busy:
        for number, request in waiting[:2]:
            loop.add(number, request)
        waiting = waiting[2:]
        for output in loop.step():
            found[output.id] += text_of(output.deltas)
    assert list(found.values()) == expected


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_naive_loop_says_the_same(
    base: Path, encoder: Encoder, loop: DecodeLoop, prompt: str, temperature: float
) -> None:
    model = load_model(base)
    ids = encoder.encode_prompt(prompt)
    plain = naive.generate(model, ids, 30, temperature, seed=5, stop_ids=encoder.stop_ids)
    request = ask(prompt, seed=5, max_tokens=30, temperature=temperature)
    [(deltas, usage)] = answer(loop, request)
    tokens = list(plain)
    assert usage == Usage(len(ids), len(tokens))
    assert text_of(deltas) == decoded(encoder, tokens)


def decoded(encoder: Encoder, tokens: list[int]) -> str:
    """Text of tokens as a stream gives it: half a character at the end is left out."""
    stream = TextStream(encoder, ())
    for token in tokens:
        stream.push(token, None)
    return stream.take(last=True)[0]


def test_the_general_forward_computes_the_same(base: Path, encoder: Encoder) -> None:
    model = load_model(base)
    requests = [changed(request, temperature=0, top_p=1.0) for request in many(9)]
    general = DecodeLoop(GeneralForward(model), encoder)
    written_out = DecodeLoop(LlamaForward(model), encoder)
    assert texts(general, *requests) == texts(written_out, *requests)


@pytest.mark.parametrize("groups", [4, 2, 1])
def test_written_out_heads_compute_what_transformers_computes(groups: int) -> None:
    """In float32, for prompts read together and for tokens that follow one by one."""
    model = load_model(kept_base(num_key_value_heads=groups))
    forward, cache = LlamaForward(model, torch.float32), SlotCache()
    draw = np.random.default_rng(0)
    texts = [draw.integers(5, 300, length).tolist() for length in (17, 3, 40)]
    expected = [reference(model, text) for text in texts]
    places = zip(texts, (0, 2, 1), strict=True)
    read = forward.prefill([Text(text[:-2], [slot], True) for text, slot in places], cache)
    for found, whole in zip(read, expected, strict=True):
        torch.testing.assert_close(forward.logits(found), whole[:-2], rtol=1e-4, atol=1e-4)
    in_slots = [0, 2, 1]
    for back in (-2, -1):
        tokens = torch.tensor([texts[i][back] for i in in_slots])
        lengths = torch.tensor([len(texts[i]) + back for i in in_slots])
        found = forward.step(tokens, lengths, cache)
        whole = torch.stack([expected[i][back] for i in in_slots])
        torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def reference(model: PreTrainedModel, ids: list[int]) -> torch.Tensor:
    """transformers' own logits, [tokens, vocabulary]."""
    return model(input_ids=torch.tensor([ids])).logits[0]


def test_bfloat16_is_close_and_tells_near_equals_apart() -> None:
    model = load_model(kept_base(num_key_value_heads=2))
    exact, fast = LlamaForward(model), LlamaForward(model, torch.bfloat16)
    text = Text([5, 60, 200, 31, 7, 90], [0])
    wanted, found = (each.logits(each.prefill([text], SlotCache())[0]) for each in (exact, fast))
    assert (wanted.dtype, found.dtype) == (torch.float64, torch.float32)
    difference = (wanted.log_softmax(-1) - found.log_softmax(-1)).abs()
    assert 0 < difference.mean() < 0.05
    likeliest = found[0].topk(20).values
    assert len(set(likeliest.tolist())) == 20
    assert not torch.equal(likeliest, likeliest.bfloat16().float())


@pytest.mark.parametrize(
    "changes",
    [{"hidden_act": "gelu"}, {"attention_bias": True}, {"mlp_bias": True}],
    ids=lambda changes: next(iter(changes)),
)
def test_other_models_take_the_general_way(tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = make_base(tmp_path / "other", **changes)
    forward = make_forward(load_model(folder))
    assert isinstance(forward, GeneralForward)
    loop = DecodeLoop(forward, Encoder(folder))
    requests = [changed(request, temperature=0) for request in many(4)]
    assert texts(loop, *requests) == [texts(loop, request)[0] for request in requests]


def test_a_full_cache_lets_choices_wait_and_changes_no_text(
    forward: Forward, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [changed(request, max_tokens=120) for request in many(16)]
    expected = texts(DecodeLoop(forward, encoder), *requests)
    # Two of the longest texts fit; one alone may have all that it needs.
    monkeypatch.setattr(admission, "CACHE_BYTES", 2 * CONTEXT * forward.bytes_per_token)
    put_back, waited = Admission.put_back, []
    monkeypatch.setattr(
        Admission, "put_back", lambda *given: (waited.append(given[1]), put_back(*given))
    )
    assert texts(DecodeLoop(forward, encoder), *requests) == expected
    assert waited
    monkeypatch.setattr(admission, "CACHE_BYTES", 1)
    assert texts(DecodeLoop(forward, encoder), *requests) == expected


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> int:
    """Texts are read in parts of so many tokens."""
    for module in (admission, decode):
        monkeypatch.setattr(module, "PART", 7)
    return 7


@pytest.mark.parametrize("kind", [LlamaForward, GeneralForward])
def test_a_text_that_is_read_in_parts_gets_the_same_answer(
    base: Path, encoder: Encoder, request: pytest.FixtureRequest, kind: type[Forward]
) -> None:
    model = load_model(base)
    requests = [changed(each, temperature=0, top_p=1.0) for each in many(16)]
    requests.append(ask("He flies over the harbour", echo=True, top_logprobs=2))
    expected = answer(DecodeLoop(kind(model), encoder), *requests)
    request.getfixturevalue("small_parts")
    found = answer(DecodeLoop(kind(model), encoder, max_slots=5), *requests)
    assert [text_of(deltas) for deltas, _ in found] == [text_of(deltas) for deltas, _ in expected]
    whole, parts = (
        [info for delta in given[-1][0] for info in delta.tokens] for given in (expected, found)
    )
    assert [info.text for info in parts] == [info.text for info in whole]
    for before, now in zip(whole, parts, strict=True):
        assert now.logprob == (before.logprob and pytest.approx(before.logprob, rel=1e-3))


def test_a_long_prompt_holds_up_the_others_for_one_part_at_a_time(
    forward: Forward, encoder: Encoder, small_parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, read = DecodeLoop(forward, encoder), []
    prefill = forward.prefill
    monkeypatch.setattr(
        forward,
        "prefill",
        lambda texts, cache: (read.append([len(t.ids) for t in texts]), prefill(texts, cache))[1],
    )
    endless = {"max_tokens": 50, "logit_bias": ENDLESS, "top_logprobs": 0}  # a piece for each token
    loop.add(1, ask([5], **endless))
    loop.step()
    loop.add(2, ask([5] * 80, **endless))
    read.clear()
    for step in range(5):
        assert 1 in {output.id for output in loop.step()}  # its next token
        assert read == [[small_parts]] * (step + 1)
    loop.add(3, ask([6, 7], **endless))
    assert {1, 3} <= {output.id for output in loop.step()}  # a short one need not wait at all
    assert read[-1] == [2, small_parts]


@pytest.mark.skipif(not Matrix(torch.ones(1, 1).bfloat16()).packed, reason="no unit for bfloat16")
def test_in_bfloat16_texts_are_the_same_alone_and_in_company(
    encoder: Encoder, small_parts: int
) -> None:
    # torch gives no smaller products to oneDNN, unless they come in company.
    wide = {"hidden_size": 256, "num_key_value_heads": 2}
    forward = LlamaForward(load_model(kept_base(**wide)), torch.bfloat16)
    requests = many(24)
    alone = [texts(DecodeLoop(forward, encoder), request)[0] for request in requests]
    assert texts(DecodeLoop(forward, encoder), *requests) == alone


def test_choices_differ_and_repeat(loop: DecodeLoop) -> None:
    request = ask(n=4, temperature=1.5, logit_bias=ENDLESS)
    [(first, usage)], [(second, _)] = answer(loop, request), answer(loop, request)
    found = [text_of(first, i) for i in range(4)]
    assert found == [text_of(second, i) for i in range(4)]
    assert len(set(found)) > 1
    assert usage.completion_tokens == 48
    [other] = texts(loop, changed(request, n=1, seed=2))
    assert other not in found


def test_no_seed_is_a_new_text_each_time(loop: DecodeLoop) -> None:
    request = ask(seed=None, temperature=1.5, max_tokens=20, logit_bias=ENDLESS)
    assert len(set(texts(loop, request, request, request))) > 1


def test_a_request_without_streaming_brings_each_choice_once(loop: DecodeLoop) -> None:
    request = ask(n=3, stream=False)
    [(deltas, _)] = answer(loop, request)
    [(streamed, _)] = answer(loop, changed(request, stream=True))
    assert [delta.choice for delta in deltas] == [0, 1, 2]
    assert [delta.text for delta in deltas] == [text_of(streamed, i) for i in range(3)]
    assert all(delta.finish_reason for delta in deltas)


def test_the_length_ends_an_answer(loop: DecodeLoop) -> None:
    [(deltas, usage)] = answer(loop, ask(max_tokens=7, logit_bias=ENDLESS))
    assert (deltas[-1].finish_reason, usage.completion_tokens) == ("length", 7)


def test_without_a_limit_the_context_ends_an_answer(loop: DecodeLoop) -> None:
    [(deltas, usage)] = answer(loop, ask(max_tokens=None, logit_bias=ENDLESS))
    assert deltas[-1].finish_reason == "length"
    assert usage.prompt_tokens + usage.completion_tokens == CONTEXT


@pytest.mark.parametrize("token", [0, 4])
def test_stop_tokens_end_an_answer_and_do_not_show(loop: DecodeLoop, token: int) -> None:
    [(deltas, usage)] = answer(loop, ask(logit_bias={token: 100}))
    assert deltas == [Delta(0, "", [], "stop")]
    assert usage.completion_tokens == 0


@pytest.mark.parametrize("stream", [True, False])
def test_a_stop_string_across_tokens_never_shows(loop: DecodeLoop, stream: bool) -> None:
    request = ask(max_tokens=40, temperature=0, logit_bias=ENDLESS, top_logprobs=0)
    [(free, _)] = answer(loop, request)
    whole = text_of(free)
    for length in (1, 3, 7):
        for start in range(0, len(whole) - length, 5):
            stop = whole[start : start + length]
            [(deltas, _)] = answer(loop, changed(request, stop=("\x00", stop), stream=stream))
            assert text_of(deltas) == whole[: whole.index(stop)]
            assert deltas[-1].finish_reason == "stop"
            tokens = "".join(token.text for delta in deltas for token in delta.tokens)
            assert tokens.startswith(text_of(deltas)) or "\ufffd" in tokens


@given(st.text("ab", max_size=12), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3))
def test_streamed_pieces_join_to_the_text_before_the_first_stop(
    encoder: Encoder, text: str, stops: list[str]
) -> None:
    stream, found = TextStream(encoder, tuple(stops)), ""
    for token in [token for letter in text for token in encoder.encode_text(letter)]:
        stopped = stream.push(token, None)
        found += stream.take()[0]
        assert not any(stop in found for stop in stops)
        if stopped:
            break
    found += stream.take(last=True)[0]
    ends = [i for i in range(len(text) + 1) if any(text[:i].endswith(s) for s in stops)]
    if not ends:
        assert (found, stream.stopped) == (text, False)
    else:
        completed = [s for s in stops if text[: ends[0]].endswith(s)]
        assert (found, stream.stopped) == (text[: ends[0] - max(map(len, completed))], True)


def test_logprobs_are_those_of_the_model_itself(loop: DecodeLoop) -> None:
    plain = ask(temperature=0, top_logprobs=5, max_tokens=8, logit_bias=ENDLESS)
    [(deltas, _)] = answer(loop, plain)
    infos = [token for delta in deltas for token in delta.tokens]
    assert len(infos) == 8
    for info in infos:
        assert len(info.top) == 5
        assert info.top == sorted(info.top, key=lambda entry: -entry[2])
        assert info.logprob is not None
        assert info.logprob <= info.top[0][2] < 0
    hot = changed(plain, temperature=2.0, presence_penalty=1.0)
    [(other, _)] = answer(loop, hot)
    assert other[0].tokens[0].top == infos[0].top


def test_all_logprobs_together_are_one(loop: DecodeLoop, encoder: Encoder) -> None:
    everything = Sampling.model_construct(max_tokens=1, top_logprobs=encoder.vocab_size)
    [(deltas, _)] = answer(loop, replace(ask(), sampling=everything))
    total = sum(np.exp(entry[2]) for entry in deltas[0].tokens[0].top)
    assert total == pytest.approx(1.0)


def test_echo_repeats_the_prompt_with_its_logprobs(loop: DecodeLoop, encoder: Encoder) -> None:
    prompt = "He flies over the harbour"
    asked = {"echo": True, "top_logprobs": 2, "max_tokens": 3, "n": 2, "logit_bias": ENDLESS}
    [(deltas, usage)] = answer(loop, ask(prompt, **asked))
    assert usage.prompt_tokens == len(encoder.encode_prompt(prompt))
    for choice in range(2):
        assert text_of(deltas, choice).startswith(prompt)
        infos = [t for d in deltas if d.choice == choice for t in d.tokens]
        assert len(infos) == usage.prompt_tokens - 1 + 3
        assert "".join(info.text for info in infos[:-3]) == prompt
    # What it thought of the prompt's last token is what it says when it continues the rest.
    [(next_, _)] = answer(
        loop, ask(encoder.encode_prompt(prompt)[:-1], top_logprobs=2, max_tokens=1)
    )
    last = [t for t in deltas[0].tokens if t.logprob is not None][-1]
    expected = next_[0].tokens[0].top
    assert [entry[0] for entry in last.top] == [entry[0] for entry in expected]
    assert last.top[0][2] == pytest.approx(expected[0][2])


def test_echo_without_a_word_more(loop: DecodeLoop) -> None:
    [(deltas, usage)] = answer(loop, ask("He flies", echo=True, max_tokens=0))
    assert text_of(deltas) == "He flies"
    assert (deltas[-1].finish_reason, usage.completion_tokens) == ("length", 0)


def test_token_ids_are_a_prompt_too(loop: DecodeLoop, encoder: Encoder) -> None:
    by_text, by_ids = ask("He flies"), ask(encoder.encode_prompt("He flies"))
    assert len(set(texts(loop, by_text, by_ids))) == 1
    [(deltas, _)] = answer(loop, ask([5], echo=True, top_logprobs=1, max_tokens=1))
    assert deltas[0].tokens[0].logprob is None


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        (ask("x" * 500), "context_length_exceeded", "your prompt resulted in 501 tokens"),
        (
            ask([{"role": "user", "content": "x" * 500}]),
            "context_length_exceeded",
            "length of the messages",
        ),
        (ask(max_tokens=CONTEXT), "context_length_exceeded", f"{CONTEXT} in the completion"),
        (ask([999_999]), "invalid_request", "Token 999999 does not exist"),
        (ask([]), "invalid_request", "The prompt is empty"),
        (ask(logit_bias={330: 1.0}), "invalid_request", "Token 330 does not exist"),
    ],
    ids=["prompt", "messages", "completion", "unknown token", "nothing", "bias"],
)
def test_what_cannot_be_answered(
    loop: DecodeLoop, request_: Generate, code: str, words: str
) -> None:
    with pytest.raises(EngineError, match=words) as caught:
        loop.add(1, request_)
    assert caught.value.code == code
    assert not loop.busy


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("x" * 8_000_000, "prompt came to 8000000 characters"),
        ([{"role": "user", "content": "x" * 8_000_000}], "messages came to 8000000 characters"),
        ([{"role": "user", "content": ""}] * 100_000, "messages came to 100000 messages"),
    ],
    ids=["prompt", "message", "messages"],
)
def test_what_is_far_too_long_is_not_even_tokenized(
    loop: DecodeLoop, monkeypatch: pytest.MonkeyPatch, prompt: Any, words: str
) -> None:
    """Tokenizing megabytes would hold up everybody else's answers for seconds."""
    monkeypatch.setattr(Encoder, "encode_text", None)
    monkeypatch.setattr(Encoder, "encode_chat", None)
    with pytest.raises(EngineError, match=words) as caught:
        loop.add(1, ask(prompt))
    assert caught.value.code == "context_length_exceeded"


def test_the_longest_text_that_fits_is_answered(loop: DecodeLoop, encoder: Encoder) -> None:
    longest = max(range(encoder.vocab_size), key=lambda token: len(encoder.token_bytes(token)))
    text = encoder.decode([longest]) * (CONTEXT - 2)
    assert len(text) <= encoder.most_characters
    assert texts(loop, ask(text, max_tokens=1))


def test_a_large_answer_comes_in_pieces_even_without_streaming(loop: DecodeLoop) -> None:
    """A message between the processes stays small, however many log-probabilities it brings."""
    request = ask(n=8, max_tokens=100, top_logprobs=20, stream=False, logit_bias=ENDLESS)
    [(streamed, _)] = answer(loop, changed(request, stream=True))
    loop.add(1, request)
    pieces: list[list[Delta]] = []
    while loop.busy:
        pieces += [output.deltas for output in loop.step()]
    assert len(pieces) > 2
    assert max(sum(len(delta.tokens) for delta in piece) for piece in pieces) < 300
    for index in range(8):
        mine = [delta for piece in pieces for delta in piece if delta.choice == index]
        assert text_of(mine, index) == text_of(streamed, index)
        assert [token for delta in mine for token in delta.tokens] == [
            token for delta in streamed if delta.choice == index for token in delta.tokens
        ]


def test_a_full_context_has_no_room_for_an_answer(loop: DecodeLoop) -> None:
    with pytest.raises(EngineError, match="resulted in"):
        loop.add(1, ask([5] * CONTEXT, max_tokens=None))
    assert texts(loop, ask([5] * CONTEXT, max_tokens=0, echo=True))


def test_those_who_are_waited_for_go_before_the_background(
    forward: Forward, encoder: Encoder
) -> None:
    loop = DecodeLoop(forward, encoder, max_slots=4)
    endless = {"max_tokens": 40, "logit_bias": ENDLESS}
    for number in range(10):
        loop.add(number, ask(seed=number, background=True, **endless))
    seen = {output.id for _ in range(3) for output in loop.step()}
    assert seen == {0, 1, 2}  # one slot in four stays free
    loop.add(100, ask(**endless))
    assert 100 in {output.id for output in loop.step()}
    loop.add(101, ask(max_tokens=3, logit_bias=endless["logit_bias"]))
    order: list[int] = []
    while loop.busy:
        order += [output.id for output in loop.step() if output.usage is not None]
    assert len(order) == 12
    # It waited for a slot, and got the first one; the background's own order is kept.
    assert order.index(101) < order.index(3) and order[-1] == 9


def test_one_with_many_questions_does_not_hold_up_the_others(
    forward: Forward, encoder: Encoder
) -> None:
    loop = DecodeLoop(forward, encoder, max_slots=4)
    for number in range(40):
        loop.add(number, ask(seed=number, group="greedy", max_tokens=5, logit_bias=ENDLESS))
    loop.step()
    for number in (100, 101, 102):
        loop.add(number, ask(group=f"student {number}", max_tokens=5, logit_bias=ENDLESS))
    loop.add(103, ask(n=2, group="student 100", max_tokens=5, logit_bias=ENDLESS))
    order: list[int] = []
    while loop.busy:
        order += [output.id for output in loop.step() if output.usage is not None]
    assert sorted(order[4:8]) == [100, 101, 102, 103]  # after the four that were at work
    greedy = [number for number in order if number < 100]
    assert greedy == sorted(greedy)


def test_the_background_gets_the_same_texts(loop: DecodeLoop) -> None:
    requests = many(8)
    behind = [changed(request, background=True) for request in requests]
    assert texts(loop, *behind) == texts(loop, *requests)


def test_cancelling_leaves_the_others_alone(loop: DecodeLoop) -> None:
    requests = many(6)
    expected = texts(loop, *requests)
    found = dict.fromkeys(range(6), "")
    for number, request in enumerate(requests):
        loop.add(number, request)
    for step in range(200):
        if step == 2:
            loop.cancel(1)
            loop.cancel(4)
        for output in loop.step():
            found[output.id] += text_of(output.deltas)
        if not loop.busy:
            break
    kept = [0, 2, 3, 5]
    assert [found[i] for i in kept] == [expected[i] for i in kept]
    assert not loop.busy


class _Breaking:
    """A forward pass that breaks once, as when memory runs out."""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self.bytes_per_token, self.device = forward.bytes_per_token, forward.device
        self.breaks = True

    def prefill(self, *arguments: Any) -> list[torch.Tensor]:
        return self._forward.prefill(*arguments)

    def logits(self, read: torch.Tensor) -> torch.Tensor:
        return self._forward.logits(read)

    def step(self, *arguments: Any) -> torch.Tensor:
        if self.breaks:
            raise RuntimeError("not enough memory")
        return self._forward.step(*arguments)


def test_a_failing_step_ends_its_requests_and_not_the_loop(
    forward: Forward, encoder: Encoder
) -> None:
    breaking = _Breaking(forward)
    loop = DecodeLoop(breaking, encoder)
    loop.add(1, ask(logit_bias=ENDLESS))
    errors = [output.error for output in run_out(loop)]
    assert [error.code for error in errors if error] == ["engine_failed"]
    breaking.breaks = False
    assert texts(loop, ask()) == texts(DecodeLoop(forward, encoder), ask())


def run_out(loop: DecodeLoop) -> Iterator[Any]:
    while loop.busy:
        yield from loop.step()


def test_a_model_that_computes_nonsense_says_so(base: Path, encoder: Encoder) -> None:
    model = load_model(base)
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    loop = DecodeLoop(LlamaForward(model), encoder)
    loop.add(1, ask())
    [output] = run_out(loop)
    assert output.error is not None
    assert "lower learning_rate_multiplier" in output.error.message


def test_infos_wait_for_their_text(encoder: Encoder) -> None:
    info = TokenInfo("E", [69], -1.0, [])
    stream = TextStream(encoder, ("END",))
    [token] = encoder.encode_text("E")
    assert not stream.push(token, info)
    assert stream.take() == ("", [])
    assert stream.take(last=True) == ("E", [info])


def test_a_row_gets_the_same_logits_in_any_company(tmp_path: Path) -> None:
    """Far finer than what could ever change a choice; float32 would miss it by six digits."""
    forward = LlamaForward(load_model(make_base(tmp_path)))
    draw = np.random.default_rng(1)
    prompts = [draw.integers(5, 60, n).tolist() for n in draw.integers(1, 50, 40)]
    tokens = torch.tensor([prompt[0] for prompt in prompts])

    def logits(chosen: list[int]) -> torch.Tensor:
        cache = SlotCache()
        forward.prefill([Text(prompts[i], [slot]) for slot, i in enumerate(chosen)], cache)
        lengths = torch.tensor([len(prompts[i]) for i in chosen])
        first = forward.step(tokens[chosen], lengths, cache)
        second = forward.step(tokens[chosen], lengths + 1, cache)
        return torch.stack([first, second], 1)

    together = logits(list(range(40)))
    backwards = logits(list(range(39, -1, -1))).flip(0)
    torch.testing.assert_close(together, backwards, rtol=1e-12, atol=1e-12)
    for row in (0, 7, 39):
        torch.testing.assert_close(together[row], logits([row])[0], rtol=1e-12, atol=1e-12)
