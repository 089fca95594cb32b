"""The command for machines with a GPU. Options only; the work is imported when the command runs."""

from __future__ import annotations

from typing import Any

import click

from lossproof.cli.shared_options import TIMEOUT_OPTION


@click.command()
@click.argument("adapter", nargs=-1)
@click.option("--script", metavar="FILE", help="Only write FILE, a program for a machine without lossproof.")
@click.option(
    "--device", "devices", multiple=True, metavar="DEVICE", help="Only this, or this kind, such as cuda (repeatable)."
)
@click.option("--software", is_flag=True, help="Also OpenCL, WebGPU and Vulkan, which a processor may serve.")
@click.option("--bundle", default="lossproof-bundle", show_default=True, metavar="FOLDER", help="The new folder.")
@click.option(
    "--seconds",
    default=3600.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="The most that one step may take.",
)
@click.option("--plan", "only_plan", is_flag=True, help="Print the commands of the steps, and run none.")
@click.option("--deck", "size", metavar="NAME", help="What comes after smoke (default: default); the deck of --script.")
@TIMEOUT_OPTION
def gpu(adapter: tuple[str, ...], script: str | None, size: str | None, timeout: float, **options: Any) -> int:
    """Judge every framework, or each ADAPTER, on every GPU of this machine, and write one bundle of what comes out.

    Smoke in the first mode of each device comes first, then its other modes, then the deck; modes that compile come
    last. A step that dies or hangs costs itself alone. The exit code is 2 where there is no GPU.
    """
    if script is not None:
        from lossproof.cli.commands.detached import script_command

        return script_command(script, size=size or "smoke", timeout=timeout)
    from lossproof.cli.commands.gpu import gpu_command

    return gpu_command(adapter, size=size or "default", timeout=timeout, **options)
