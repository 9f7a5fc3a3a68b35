"""What the page at /docs shows of bodies that the routes read by themselves."""

from typing import Any

from pydantic import BaseModel


def body_of(kind: type[BaseModel]) -> dict[str, Any]:
    """Return the description of a JSON body with these parameters."""
    # Inlined: FastAPI collects only the models that it parses itself.
    schema = kind.model_json_schema()
    definitions = schema.pop("$defs", {})
    return _body("application/json", _inline(schema, definitions))


def form_of(file: str, *texts: str) -> dict[str, Any]:
    """Return the description of a form with one file and some text fields."""
    properties: dict[str, Any] = {name: {"type": "string"} for name in texts}
    properties[file] = {"type": "string", "format": "binary"}
    schema = {"type": "object", "properties": properties, "required": [file, *texts]}
    return _body("multipart/form-data", schema)


def _body(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


def _inline(value: Any, definitions: dict[str, Any]) -> Any:
    """Replace every reference to a definition by the definition itself."""
    if isinstance(value, list):
        return [_inline(item, definitions) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return _inline(definitions[value["$ref"].rsplit("/", 1)[-1]], definitions)
    return {key: _inline(item, definitions) for key, item in value.items()}
