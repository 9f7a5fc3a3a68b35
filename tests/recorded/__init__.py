"""What the sandbox and the commands answered at a fixed point: a rebuild is held against it.

`python -m tests.recorded` writes the recordings anew, where a change is meant.
"""
