"""Who is asking: the Bearer key of a request and the project it belongs to."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from sandbox.api.context import Context, ContextOf
from sandbox.api.errors import InvalidKey
from sandbox.store import keys
from sandbox.store.tables import KeyRow

# Declares the scheme, so that the OpenAPI document names it.
scheme = HTTPBearer(auto_error=False, description="A key made by `python -m sandbox keys create`")

MISSING = (
    "You didn't provide an API key. Send one in an Authorization header, as "
    "`Authorization: Bearer YOUR_KEY`. This sandbox makes keys with "
    "`python -m sandbox keys create`."
)


async def project_of(request: Request, context: ContextOf, _: object = Depends(scheme)) -> str:
    """Return the project of the request's key. Raises InvalidKey."""
    authorization = request.headers.get("authorization", "")
    secret = secret_in(authorization)
    if not secret:
        raise InvalidKey(MISSING)
    key = key_of(context, authorization)
    if key is None:
        raise InvalidKey(
            f"Incorrect API key provided: {mask(secret)}. Use a key of this sandbox "
            "(`python -m sandbox keys create` makes one)."
        )
    return key.project


def key_of(context: Context, authorization: str) -> KeyRow | None:
    """Return the key that an Authorization header carries, or None if it carries no good one."""
    secret = secret_in(authorization)
    # One indexed read of a database in memory: quicker than a trip to another thread.
    return keys.find_key(context.store, secret) if secret else None


def secret_in(authorization: str) -> str:
    """Return the secret in an Authorization header, "" if there is none."""
    kind, _, secret = authorization.partition(" ")
    return secret.strip() if kind.lower() == "bearer" else ""


def mask(secret: str) -> str:
    """Return a key as it may be shown: its first three and last four characters, or less."""
    if len(secret) < 16:
        return "*" * len(secret)
    return f"{secret[:3]}{'*' * 8}{secret[-4:]}"


Project = Annotated[str, Depends(project_of)]
