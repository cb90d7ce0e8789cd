"""Whether a regular expression is one that DuckDB can match: it has RE2's, without looking around.

Asked of DuckDB itself, which is only loaded for a view that has a pattern.
"""

from functools import cache


@cache
def why_not(pattern: str) -> str:
    """What is wrong with a pattern; nothing when it can be matched."""
    import duckdb

    with duckdb.connect() as connection:
        try:
            connection.execute("SELECT regexp_matches('', ?)", [pattern])
        except duckdb.Error as error:
            return str(error).splitlines()[0].removeprefix("Invalid Input Error: ")
    return ""
