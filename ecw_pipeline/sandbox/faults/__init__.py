"""Faults: the habits of real servers, by name, to try a client against.

One line starts a sandbox with some of them:

    running_sandbox(config, Faults.from_mapping({"html_401": {"on": "file", "times": 1}}))

Later, `running.faults.replace({...})` or ``POST /sandbox/faults`` sets others, {} none. What a
fault did is counted by its name in ``GET /sandbox/stats``, ``by_fault``.

A script is the same mapping as TOML or JSON, for ``ecw sandbox --faults FILE``:

    seed = 7

    [cut_body]
    resource_type = "Observation"
    probability = 0.2
    kept = 0.9

    [[error_status]]        # the same fault twice: tables in a list
    on = "status"
    nth = 2
    times = 1

    [[error_status]]
    on = "token"
    status = 500

Each table holds parameters of the fault (``kept``, ``status``) and when it strikes:

- ``on``: the kinds of request, where a fault has several: token, kickoff, status, manifest,
  delete, file, attachment, fhir. A list or one.
- ``resource_type``: only requests that name this type (files, kick-offs with ``_type``), or this
  type's items of a manifest.
- ``nth``: not before the nth request that it could strike (1).
- ``times``: so many times and no more (always; some faults, once).
- ``probability``: with the seed, the same files are struck in every run, in whatever order
  they are asked for.

``ecw sandbox --list-faults`` and docs/sandbox.md list them all. A new fault is a function in the
module of its endpoint, named in that module's FAULTS; `fault.py` says how, `table.py` joins them.
"""
