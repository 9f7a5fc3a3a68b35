"""Requests to the engine with few words: sampling parameters and the rest side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sandbox.engine.sampler.messages import Generate
from sandbox.parameters import Sampling


def ask(prompt: Any = "He flies", folder: Any = "unused", **settings: Any) -> Generate:
    """A request of at most twelve tokens with seed 1, unless `settings` say otherwise."""
    start = Generate(str(folder), prompt, Sampling(seed=1, max_tokens=12))
    return changed(start, **settings)


def changed(request: Generate, **settings: Any) -> Generate:
    """The request with other settings, of its sampling or of its own."""
    own = {name: settings.pop(name) for name in list(settings) if hasattr(request, name)}
    sampling = Sampling(**{**request.sampling.model_dump(), **settings})
    return replace(request, sampling=sampling, **own)
