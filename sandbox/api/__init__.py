"""The HTTP side of the sandbox: routes, keys, errors and pages. No torch here."""
