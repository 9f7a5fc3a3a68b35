"""From the file that you have to the file that a job takes: `heroes prepare`.

`read_source` reads it, `Steps` offers the suggestions, `write` writes and checks the result.
"""

from heroes.prepare.analysis import Analysis, analyse
from heroes.prepare.columns import shape_of
from heroes.prepare.errors import InputError
from heroes.prepare.reading import Source, read_source
from heroes.prepare.run import Output, Result, note_marks, write
from heroes.prepare.split import parse_share, split
from heroes.prepare.steps import Declined, Steps
from heroes.prepare.suggestion import Plan, Suggestion
from heroes.prepare.table import Table

__all__ = [
    "Analysis",
    "Declined",
    "InputError",
    "Output",
    "Plan",
    "Result",
    "Source",
    "Steps",
    "Suggestion",
    "Table",
    "analyse",
    "note_marks",
    "parse_share",
    "read_source",
    "shape_of",
    "split",
    "write",
]
