"""What a database consists of, to compare two of them."""

import sqlite3
from contextlib import closing

import psycopg

Schema = list[tuple[str, ...]]


def schema(url: str) -> Schema:
    """Tables with their columns, and indexes with what they say."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            columns = connection.execute(
                "SELECT m.name, p.name, p.type, p.'notnull' FROM sqlite_master m JOIN pragma_table_info(m.name) p"
                " WHERE m.type = 'table'"
            ).fetchall()
            indexes = connection.execute("SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'index'")
            return sorted(tuple(map(str, row)) for row in [*columns, *indexes.fetchall()])
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns"
            " WHERE table_schema = 'public'"
        ).fetchall()
        rows += connection.execute("SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'")
        rows += connection.execute(
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE contype IN ('c', 'f') AND connamespace = 'public'::regnamespace"
        )
        return sorted(tuple(map(str, row)) for row in rows)
