"""Plain completions through the SDK: every shape of a request and of an answer."""

import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from openai.types import Completion


@pytest.fixture
def ask(client: OpenAI, base_model: str):
    """Ask the base model to go on, with short answers unless the test says otherwise."""

    def call(**fields: object):
        return client.completions.create(
            **{"model": base_model, "prompt": "The hero", "max_tokens": 4, **fields}
        )

    return call


def texts(answer: Completion) -> list[str]:
    return [choice.text for choice in answer.choices]


def test_an_answer_has_the_hosted_shape(ask, base_model: str) -> None:
    answer = ask()
    assert answer.id.startswith("cmpl-") and len(answer.id) == 34
    assert (answer.object, answer.model) == ("text_completion", base_model)
    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].logprobs is None
    assert answer.usage.completion_tokens == 4
    assert Completion.model_validate(answer.to_dict(), strict=True)


def test_sixteen_tokens_are_the_default(client: OpenAI, base_model: str) -> None:
    answer = client.completions.create(model=base_model, prompt="The hero", logit_bias={"0": -100})
    assert answer.usage.completion_tokens <= 16


def test_many_prompts_in_order(ask) -> None:
    prompts = ["One hero", "Two heroes", "One hero"]
    answer = ask(prompt=prompts, n=2, seed=4)
    assert [choice.index for choice in answer.choices] == list(range(6))
    alone = [ask(prompt=prompt, n=2, seed=4) for prompt in prompts]
    assert texts(answer) == [text for one in alone for text in texts(one)]
    usage = answer.usage
    assert usage.prompt_tokens == sum(one.usage.prompt_tokens for one in alone)
    assert usage.completion_tokens == sum(one.usage.completion_tokens for one in alone)


def test_token_ids_are_prompts_too(ask) -> None:
    one = ask(prompt=[300, 301], seed=1)
    both = ask(prompt=[[300, 301], [302]], seed=1)
    assert len(both.choices) == 2 and both.choices[0].text == one.choices[0].text


def test_no_prompt_starts_a_document(client: OpenAI, base_model: str, ask) -> None:
    answer = client.completions.create(
        model=base_model, max_tokens=4, seed=1, extra_body={}, prompt=None
    )
    assert texts(answer) == texts(ask(prompt="", seed=1))


def test_echo(ask) -> None:
    answer = ask(echo=True, seed=1)
    assert texts(answer)[0] == "The hero" + texts(ask(seed=1))[0]
    scored = ask(echo=True, max_tokens=0, logprobs=1)
    assert texts(scored) == ["The hero"]
    assert "".join(scored.choices[0].logprobs.tokens) == "The hero"
    assert scored.usage.completion_tokens == 0


def test_logprobs_in_the_older_shape(ask) -> None:
    choice = ask(logprobs=2, echo=True).choices[0]
    logprobs = choice.logprobs
    count = len(logprobs.tokens)
    assert len(logprobs.token_logprobs) == len(logprobs.top_logprobs) == count
    for token, offset in zip(logprobs.tokens, logprobs.text_offset, strict=True):
        assert choice.text[offset:].startswith(token) or "\ufffd" in token
    for token, logprob, top in zip(
        logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs, strict=True
    ):
        if logprob is not None:
            assert top[token] == pytest.approx(logprob)
            assert 2 <= len(top) <= 3


def test_a_stream_says_the_same(ask) -> None:
    whole = ask(prompt=["One", "Two"], seed=3, logprobs=1, n=2)
    said, tokens = [""] * 4, [[] for _ in range(4)]
    offsets = [[] for _ in range(4)]
    usage = None
    for chunk in ask(
        prompt=["One", "Two"],
        seed=3,
        logprobs=1,
        n=2,
        stream=True,
        stream_options={"include_usage": True},
    ):
        usage = chunk.usage
        for choice in chunk.choices:
            said[choice.index] += choice.text
            tokens[choice.index] += choice.logprobs.tokens
            offsets[choice.index] += choice.logprobs.text_offset
    assert said == texts(whole)
    assert tokens == [choice.logprobs.tokens for choice in whole.choices]
    assert offsets == [choice.logprobs.text_offset for choice in whole.choices]
    assert usage == whole.usage


def test_stop(ask) -> None:
    text = texts(ask(seed=2, max_tokens=20))[0]
    stop = text[len(text) // 2 :][:3]
    stopped = ask(seed=2, max_tokens=20, stop=stop)
    assert texts(stopped) == [text[: text.index(stop)]]
    assert stopped.choices[0].finish_reason == "stop"


def test_best_of_that_asks_for_nothing_is_allowed(ask) -> None:
    assert len(ask(n=2, best_of=2).choices) == len(ask(n=2, best_of=0).choices) == 2


def test_an_answer_that_comes_to_the_suffix_ends_there(ask) -> None:
    text = texts(ask(seed=2, max_tokens=20))[0]
    suffix = text[len(text) // 2 :]
    answer = ask(seed=2, max_tokens=20, suffix=suffix, stop=["never said"])
    assert texts(answer) == [text.removesuffix(suffix)]


def test_context_overflow(ask) -> None:
    with pytest.raises(BadRequestError) as caught:
        ask(prompt="hero " * 600)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "prompt")


def test_an_unknown_model(ask) -> None:
    with pytest.raises(NotFoundError, match="text-davinci-003"):
        ask(model="text-davinci-003")
