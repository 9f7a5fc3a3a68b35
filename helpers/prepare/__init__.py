"""From the file that you have to the file that a job takes: `heroes prepare`.

`read_source` reads it, `Steps` offers the suggestions, `write` writes and checks the result.
"""

from helpers.prepare.analysis import Analysis, analyse
from helpers.prepare.columns import shape_of
from helpers.prepare.errors import InputError
from helpers.prepare.reading import Source, read_source
from helpers.prepare.run import Output, Result, note_marks, write
from helpers.prepare.split import parse_share, split
from helpers.prepare.steps import Declined, Steps
from helpers.prepare.suggestion import Plan, Suggestion
from helpers.prepare.table import Table

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
