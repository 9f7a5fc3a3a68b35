"""Training and sampling: the part of the sandbox where the language model lives."""
