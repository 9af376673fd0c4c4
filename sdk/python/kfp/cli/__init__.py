"""The commands `kfp` and `dsl-compile`."""

from __future__ import annotations

import argparse
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Sequence


def dsl_compile(argv: Sequence[str] | None = None) -> int:
    """`dsl-compile --py FILE --output FILE`. Returns the exit status."""
    from kfp.cli import compile as compile_command
    parser = argparse.ArgumentParser('dsl-compile', description='Compile a pipeline to a package.')
    compile_command.add_options(parser)
    return _run(compile_command.run, parser.parse_args(argv))


def main(argv: Sequence[str] | None = None) -> int:
    """The `kfp` command. Returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser('kfp', description='Compile pipelines, and run them on a server.')
    parser.add_argument('--endpoint', help='the server (KF_PIPELINES_ENDPOINT, or http://127.0.0.1:8080)')
    parser.add_argument('--namespace', '-n', help='whose objects, on servers with several users')
    parser.add_argument('--existing-token', help='a bearer token')
    for option in ('--iap-client-id', '--other-client-id', '--other-client-secret'):
        parser.add_argument(option, help=argparse.SUPPRESS)  # upstream's, for Google's proxy
    parser.add_argument('--output', choices=('table', 'json'), default='table', dest='format')
    parser.add_argument('--version', action='version', version=_version())
    parser.add_argument('--show-completion', choices=('bash', 'zsh', 'fish'), help='print the completion script of a shell')
    areas = parser.add_subparsers(dest='area', metavar='COMMAND')
    _add_commands(areas, words)
    arguments = parser.parse_args(words)
    if arguments.show_completion:
        from kfp.cli import completion
        print(completion.script(arguments.show_completion))
        return 0
    if arguments.area is None:
        parser.print_help()
        return 2
    return _run(arguments.run, arguments)


def _add_commands(areas: argparse._SubParsersAction[argparse.ArgumentParser], words: list[str]) -> None:
    """Only the modules of the command that is called are loaded; all of them for the help."""
    from kfp.cli import compile as compile_command
    dsl = areas.add_parser('dsl', help='compile pipelines').add_subparsers(dest='verb', required=True, metavar='COMMAND')
    compiling = dsl.add_parser('compile', help='compile a pipeline to a package')
    compile_command.add_options(compiling)
    compiling.set_defaults(run=compile_command.run)
    if 'dsl' in words[:1]:
        return
    from kfp.cli import build, diagnose, server
    server.add_commands(areas)
    build.add_commands(areas)
    diagnose.add_commands(areas)


def _version() -> str:
    import kfp
    return f'kfp {kfp.__version__}'


def _run(action: Callable[[argparse.Namespace], int | None], arguments: argparse.Namespace) -> int:
    from kfp.client import ApiError
    from kfp.dsl import errors
    try:
        return action(arguments) or 0
    except (errors.PipelineError, ApiError, ValueError, OSError, NotImplementedError) as error:
        sys.stderr.write(f'Error: {error}\n')
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141
