"""Print what makes a shell complete commands and options."""

from __future__ import annotations

from collections.abc import Sequence

from m3amba_zoo.cli.command_parser import CommandParser

SHELLS = ("bash", "zsh", "fish")


def main(argv: Sequence[str] | None = None) -> int:
    """Print a shell's code."""
    args = _parser().parse_args(argv)
    import argcomplete

    print(argcomplete.shellcode(["m3amba"], shell=args.shell))
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        description=f'{__doc__} In bash and zsh: eval "$(m3amba completion bash)", for good in ~/.bashrc or '
        "~/.zshrc; in fish: m3amba completion fish | source.",
        examples=("m3amba completion bash",),
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell")
    return parser
