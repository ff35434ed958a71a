"""``new``: a task's contract, worker, client and test as source text, written into a package.

Each part of it takes and returns text; `writing` alone touches files.
"""
