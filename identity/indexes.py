"""Indexes that migrations make and drop while servers write: on PostgreSQL CONCURRENTLY, so that nobody waits.

A migration with one of these operations is not atomic. An index whose making was broken off is made anew.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AddIndex, RemoveIndex
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState


def _make(editor: BaseDatabaseSchemaEditor, *, name: str, statement: str) -> None:
    if editor.connection.vendor == "postgresql":
        statement = statement.replace("INDEX", "INDEX CONCURRENTLY", 1)
        # One that was broken off is there, but serves nobody.
        _drop(editor, name=name)
    editor.execute(statement, params=None)


def _drop(editor: BaseDatabaseSchemaEditor, *, name: str) -> None:
    how = "CONCURRENTLY " if editor.connection.vendor == "postgresql" else ""
    editor.execute(f"DROP INDEX {how}IF EXISTS {editor.quote_name(name)}", params=None)


class AddIndexWhileServing(AddIndex):
    """AddIndex, and nobody waits."""

    atomic = False

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            statement = str(self.index.create_sql(model, schema_editor))
            _make(schema_editor, name=self.index.name, statement=statement)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            _drop(schema_editor, name=self.index.name)


class RemoveIndexWhileServing(RemoveIndex):
    """RemoveIndex, and nobody waits."""

    atomic = False

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            _drop(schema_editor, name=self.name)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            index = to_state.models[app_label, self.model_name_lower].get_index_by_name(self.name)
            _make(schema_editor, name=self.name, statement=str(index.create_sql(model, schema_editor)))


class DropImpliedIndex(Operation):
    """Drop an index that Django makes by itself for a column.

    suffix: "" for the index of a foreign key, where another one begins with the same column (`db_index=False` from now
    on); "_like" for the second index of a unique text, which serves LIKE 'prefix%' on PostgreSQL and is on no other
    database.
    """

    atomic = False
    reduces_to_sql = True
    reversible = True

    def __init__(self, model_name: str, field_name: str, suffix: str = "") -> None:
        self.model_name, self.field_name, self.suffix = model_name, field_name, suffix

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Say that a foreign key has no index of its own. Of the one for LIKE the state says nothing."""
        if not self.suffix:
            field = state.models[app_label, self.model_name].fields[self.field_name].clone()
            field.db_index = False
            state.alter_field(app_label, self.model_name, self.field_name, field, preserve_default=True)

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if self._is_there(schema_editor, model):
            _drop(schema_editor, name=self._name(schema_editor, model))

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self._is_there(schema_editor, model):
            field, name = model._meta.get_field(self.field_name), self._name(schema_editor, model)
            statement = schema_editor._create_index_sql(
                model, fields=[field], suffix=self.suffix, opclasses=["varchar_pattern_ops"] if self.suffix else ()
            )
            _make(schema_editor, name=name, statement=str(statement))

    def describe(self) -> str:
        return f"Drop the index {self.suffix or 'of its own'} of {self.model_name}.{self.field_name}"

    def _is_there(self, editor: Any, model: Any) -> bool:
        is_made = not self.suffix or editor.connection.vendor == "postgresql"
        return is_made and self.allow_migrate_model(editor.connection.alias, model)

    def _name(self, editor: Any, model: Any) -> str:
        column = model._meta.get_field(self.field_name).column
        name: str = editor._create_index_name(model._meta.db_table, [column], suffix=self.suffix)
        return name
