"""Who is asking: the Bearer key of a request and the project it belongs to."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from sandbox.api.context import Context, ContextOf
from sandbox.api.errors import InvalidKey
from sandbox.store import keys

# Declares the scheme, so that the page at /docs offers a field for the key.
scheme = HTTPBearer(auto_error=False, description="A key made by `python -m sandbox keys create`")

MISSING = (
    "You didn't provide an API key. Send one in an Authorization header, as "
    "`Authorization: Bearer YOUR_KEY`. This sandbox makes keys with "
    "`python -m sandbox keys create`."
)


async def project_of(request: Request, context: ContextOf, _: object = Depends(scheme)) -> str:
    """Return the project of the request's key. Raises InvalidKey."""
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    secret = secret.strip()
    if kind.lower() != "bearer" or not secret:
        raise InvalidKey(MISSING)
    return _check(context, secret)


def _check(context: Context, secret: str) -> str:
    # One indexed read of a database in memory: quicker than a trip to another thread.
    key = keys.find_key(context.store, secret)
    if key is None:
        raise InvalidKey(
            f"Incorrect API key provided: {mask(secret)}. Use a key of this sandbox "
            "(`python -m sandbox keys create` makes one)."
        )
    return key.project


def mask(secret: str) -> str:
    """Return a key as it may be shown: its first three and last four characters, or less."""
    if len(secret) < 16:
        return "*" * len(secret)
    return f"{secret[:3]}{'*' * 8}{secret[-4:]}"


Project = Annotated[str, Depends(project_of)]
