"""`optuna-snn backends`: the simulators that are installed, and how to install one."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["backends_app"]

backends_app = typer.Typer(help="Show the simulators that are installed, or install one.")


@backends_app.callback(invoke_without_command=True)
def backends(context: typer.Context) -> None:
    """Show which simulators can be used, and why the others cannot; `install` installs one."""
    if context.invoked_subcommand is not None:
        return
    from optuna_snn.backends.install import BACKENDS, backend_status

    for status in (backend_status(backend.name) for backend in BACKENDS):
        backend = status.backend
        version_words = status.installed_version or "not installed"
        typer.echo(f"{backend.name:<10} {version_words:<14} {backend.purpose} ({backend.licence})")
        if status.problem is not None:
            typer.echo(f"{'':<10} {status.problem}")


@backends_app.command("install")
def backends_install(
    name: Annotated[str, typer.Argument(metavar="NAME", help="bindsnet or lava-dl.")],
) -> None:
    """Install a simulator into this environment, with the pip commands that work."""
    from optuna_snn.backends.install import BACKENDS, install_backend

    names = [backend.name for backend in BACKENDS]
    if name not in names:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(names)}", param_hint="NAME")
    status = install_backend(name, show=lambda line: typer.echo(f"+ {line}"))
    typer.echo(f"{name} {status.installed_version} is ready")
