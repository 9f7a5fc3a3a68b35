"""Seeds of a server that was started with one."""

from sandbox.api.seeds import REMEMBERED, Seeds


def ask(text: str, **more: object) -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


def test_a_given_seed_is_kept_and_never_negative() -> None:
    assert Seeds(None).choose(5, ask("a")) == Seeds(7).choose(5, ask("a")) == 5
    assert Seeds(7).choose(-1, ask("a")) == 2**64 - 1


def test_without_a_server_seed_nothing_is_decided() -> None:
    assert Seeds(None).choose(None, ask("a")) is None


def test_the_order_of_different_requests_does_not_matter() -> None:
    one, two = Seeds(7), Seeds(7)
    first = {text: one.choose(None, ask(text)) for text in "abc"}
    second = {text: two.choose(None, ask(text)) for text in "cab"}
    assert first == second
    assert len(set(first.values())) == 3


def test_repeating_a_request_gives_something_new_but_repeatable() -> None:
    one, two = Seeds(7), Seeds(7)
    drawn = [one.choose(None, ask("a")) for _ in range(3)]
    assert len(set(drawn)) == 3
    assert drawn == [two.choose(None, ask("a")) for _ in range(3)]
    assert drawn[0] != Seeds(8).choose(None, ask("a"))


def test_streaming_does_not_change_the_text() -> None:
    plain = Seeds(7).choose(None, ask("a"))
    assert plain == Seeds(7).choose(None, ask("a", stream=True, user="me"))


def test_memory_is_bounded() -> None:
    seeds = Seeds(7)
    for i in range(REMEMBERED + 10):
        seeds.choose(None, {"i": i})
    assert len(seeds._counts) == REMEMBERED
