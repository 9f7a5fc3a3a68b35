"""`python -m heroes`: the same as the command `heroes`."""

from heroes.app import app

app(prog_name="heroes")
