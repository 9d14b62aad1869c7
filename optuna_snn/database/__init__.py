"""A private PostgreSQL server for many workers: over TCP, with a password, stopped for certain."""

from optuna_snn.database.databases import (
    DatabaseUsage,
    create_database,
    database_usage,
    drop_database,
)
from optuna_snn.database.folder import default_data_folder
from optuna_snn.database.server import Server, server_status, start_server, stop_server
from optuna_snn.database.temporary import prune_temporary_servers, temporary_server

__all__ = [
    "DatabaseUsage",
    "Server",
    "create_database",
    "database_usage",
    "default_data_folder",
    "drop_database",
    "prune_temporary_servers",
    "server_status",
    "start_server",
    "stop_server",
    "temporary_server",
]
