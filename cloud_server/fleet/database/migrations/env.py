"""What alembic runs: the steps that a database lacks, on the connection that `opening` gives."""

from __future__ import annotations

from alembic import context

from cloud_server.fleet.database.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
