"""What an error means, and what to do: looked up by its message.

`explain(error)` finds an error, or a message that you have copied, among those of notebook 10.
`lookup_table()` shows them all. `Album` keeps those that you have met.
"""

from helpers.errors_lookup.album import Album
from helpers.errors_lookup.lookup import (
    Entry,
    Explanation,
    entries,
    explain,
    lookup_table,
    section_titles,
)

__all__ = [
    "Album",
    "Entry",
    "Explanation",
    "entries",
    "explain",
    "lookup_table",
    "section_titles",
]
