"""Everything the sandbox remembers: one SQLite database and the files beside it.

One door, ``database.Store``; one module for each noun. Their functions take the store first and
return frozen rows::

    store = Store(Path(".sandbox"))
    key, secret = keys.create_key(store, "learner", "my laptop")
    job = jobs.next_job(store, held=[])
"""
