"""The defaults of all commands, in one place."""

from __future__ import annotations

LIST_LIMIT = 20  # rows of a list; --all shows every one
POLL_SECONDS = 1.0  # between two looks at a job
MAX_TOKENS = 300  # of an answer: a description has about 130
TEMPERATURE = 1.0
PURPOSE = "fine-tune"
HEROES_FILE = "superheroes.csv"
EXAM_FILE = "validation.csv"
EXAM_SEED = 1000  # as in notebook 02, so that the exam is another one than the training data
