"""The page at /docs: every address with its parameters, written from the OpenAPI description."""

from html import escape
from typing import Any

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 2.5rem; text-transform: capitalize }
summary { cursor: pointer; padding: .35rem 0 }
b { display: inline-block; width: 4.5rem }
code { font-size: .95em }
td { padding: .15rem 1rem .15rem 0; vertical-align: top }
"""


def render(schema: dict[str, Any]) -> str:
    """Return the page as HTML. It loads nothing: it is to be read offline too."""
    info = schema["info"]
    sections: dict[str, list[str]] = {}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            tag = operation["tags"][0]
            models = schema["components"]["schemas"]
            sections.setdefault(tag, []).append(_operation(path, method, operation, models))
    body = "".join(f"<h2>{escape(tag)}</h2>{''.join(items)}" for tag, items in sections.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(info['title'])}</title><style>{STYLE}</style></head><body>"
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"{_paragraphs(info['description'])}"
        '<p>For programs: <a href="/openapi.json">openapi.json</a></p>'
        f"{body}</body></html>"
    )


def _operation(path: str, method: str, operation: dict[str, Any], models: dict[str, Any]) -> str:
    rows = [_row(p["name"], p["schema"], p["required"]) for p in operation.get("parameters", [])]
    rows += _body_rows(operation.get("requestBody", {}), models)
    table = f"<table>{''.join(rows)}</table>" if rows else ""
    return (
        f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code></summary>"
        f"{_paragraphs(operation.get('description', ''))}{table}</details>"
    )


def _body_rows(body: dict[str, Any], models: dict[str, Any]) -> list[str]:
    rows = []
    for content in body.get("content", {}).values():
        schema = content["schema"]
        schema = models.get(schema.get("$ref", "").rpartition("/")[2], schema)
        required = schema.get("required", [])
        for name, field in schema.get("properties", {}).items():
            rows.append(_row(name, field, name in required))
    return rows


def _row(name: str, schema: dict[str, Any], required: bool) -> str:
    kind = escape(_kind(schema))
    note = "required" if required else ""
    return f"<tr><td><code>{escape(name)}</code></td><td>{kind}</td><td>{note}</td></tr>"


def _kind(schema: dict[str, Any]) -> str:
    """Return a schema in words: "integer from 1 to 128", "string or array"."""
    if "anyOf" in schema:
        kinds = [_kind(one) for one in schema["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "const" in schema or "enum" in schema:
        return " or ".join(f'"{one}"' for one in schema.get("enum", [schema.get("const")]))
    words = [schema.get("type", "anything")]
    for key, word in (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to")):
        if key in schema:
            words += [word, _number(schema[key])]
    return " ".join(words)


def _number(value: float) -> str:
    # FastAPI hands whole numbers on as floats.
    return str(int(value)) if value == int(value) else str(value)


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(one)}</p>" for one in text.split("\n\n") if one)
