"""An OpenAI-compatible server on the learner's own machine that really fine-tunes a small model."""

__version__ = "0.1.0"
