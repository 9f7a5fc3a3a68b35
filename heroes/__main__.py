"""`python -m heroes`: the same as the command `heroes`."""

from heroes.app import app

if __name__ == "__main__":
    app(prog_name="heroes")
