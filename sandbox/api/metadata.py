"""Metadata: up to sixteen pairs of text that a client attaches to an object."""

from typing import Annotated

from pydantic import AfterValidator

MOST_PAIRS, LONGEST_KEY, LONGEST_VALUE = 16, 64, 512


def _check(pairs: dict[str, str]) -> dict[str, str]:
    if len(pairs) > MOST_PAIRS:
        raise ValueError(f"at most {MOST_PAIRS} pairs are allowed, these are {len(pairs)}")
    for key, value in pairs.items():
        if not 1 <= len(key) <= LONGEST_KEY:
            raise ValueError(f"a key must have 1 to {LONGEST_KEY} characters")
        if len(value) > LONGEST_VALUE:
            raise ValueError(f"the value of '{key}' is longer than {LONGEST_VALUE} characters")
    return pairs


Metadata = Annotated[dict[str, str], AfterValidator(_check)]
