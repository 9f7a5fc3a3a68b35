"""Why a text is not JSON, in the words of the mistakes people make."""

from __future__ import annotations

import json
import re

from helpers.report import KINDS, WORDS

BOM = "\ufeff"
CURLY = re.compile(
    "[\u201c\u201d\u201e\u201f\u2018\u2019\u00ab\u00bb]" + r'\s*([}\]]|[,:]\s*["\[{])'
)


class JsonFault(ValueError):
    """What is wrong with a line or a whole file (then `line` is where it begins)."""

    def __init__(self, kind: str, cause: str, remedy: str = "", line: int | None = None) -> None:
        self.kind, self.cause, self.line = kind, cause, line
        self.remedy = remedy or KINDS[kind].remedy
        self.field = ""
        super().__init__(f"{self.cause} {self.remedy}")


def explain(text: str, error: json.JSONDecodeError) -> JsonFault:
    """The likely cause of a parse error."""
    at, rest = error.pos, text[error.pos :]
    if error.msg.startswith("Illegal trailing comma"):  # Python 3.13 stops before the comma
        at += len(rest) - len(rest[1:].lstrip())
        rest = text[at:]
    end = text.rstrip()
    if text.startswith(BOM):
        return JsonFault("bom", "The line begins with a byte order mark (BOM).")
    if end.endswith("},") and at >= len(end) - 1:
        return JsonFault("not_json", "The line ends with a comma.", "Delete the comma.")
    if rest[:1] in ("}", "]") and text[:at].rstrip().endswith(","):
        cause = f"A comma too many before {rest[0]} (character {at + 1})."
        return JsonFault("not_json", cause, "Delete the comma.")
    if rest.startswith("'") or text.startswith("{'"):
        cause = 'JSON has double quotes ("), not single ones.'
        remedy = "Python wrote this: read it with ast.literal_eval, write it with write_jsonl."
        return JsonFault("not_json", cause, remedy)
    if "\r" in end:
        cause = 'Lines seem to end with "\\r" alone.'
        return JsonFault("not_json", cause, 'Save the file with line ends "\\n" or "\\r\\n".')
    for known in WORDS["stopped_at"]:
        if found := re.match(known["found"], rest):
            kind = "bom" if found[0] == BOM else "not_json"
            cause = f"{known['cause'].format(found[0])} (character {at + 1})."
            return JsonFault(kind, cause, known["remedy"])
    in_text = error.msg.startswith(("Unterminated", "Expecting ':'", "Expecting ','"))
    if in_text and (found := re.search(CURLY, text)):
        curly = WORDS["stopped_at"][0]
        cause = f"{curly['cause']} (character {found.start() + 1})."
        return JsonFault("not_json", cause, curly["remedy"])
    if error.msg.startswith("Unterminated") or at >= len(end):
        remedy = r"Write the whole example on one line, with \n for line breaks inside texts."
        return JsonFault("not_json", "The line breaks off in the middle of the example.", remedy)
    for known in WORDS["parser_says"]:
        if error.msg.startswith(known["begin"]):
            return JsonFault("not_json", f"{known['cause']} (character {at + 1}).", known["remedy"])
    if at == 0:
        return JsonFault("not_json", f"The line is no JSON; it begins with {text[:20]!r}.")
    cause = f"Not valid JSON: {error.msg} (character {at + 1}, near {rest[:12]!r})."
    return JsonFault("not_json", cause)
