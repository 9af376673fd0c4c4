"""Completion scripts of shells: the commands and options that `kfp --help` knows."""

from __future__ import annotations

import argparse


def script(shell: str) -> str:
    """The script that a shell reads to complete `kfp`."""
    words = _words()
    if shell == 'fish':
        lines = []
        for area, verbs in words.items():
            lines.append(f"complete -c kfp -n '__fish_use_subcommand' -f -a {area}")
            lines += [f"complete -c kfp -n '__fish_seen_subcommand_from {area}' -f -a {verb}" for verb in verbs]
        return '\n'.join(lines)
    cases = '\n'.join(f'    {area}) words="{" ".join(verbs)}" ;;' for area, verbs in words.items())
    text = ('_kfp() {\n  local words\n  case "${COMP_WORDS[1]}" in\n' + cases + f'\n    *) words="{" ".join(words)}" ;;\n  esac\n'
            '  if [ "$COMP_CWORD" -gt 2 ]; then COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))\n'
            f'  elif [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "{" ".join(words)}" -- "${{COMP_WORDS[1]}}"))\n'
            '  else COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}")); fi\n}\ncomplete -F _kfp kfp')
    return 'autoload -U +X bashcompinit && bashcompinit\n' + text if shell == 'zsh' else text


def _words() -> dict[str, list[str]]:
    """{command: its own commands}."""
    from kfp.cli import _add_commands
    parser = argparse.ArgumentParser('kfp')
    areas = parser.add_subparsers(dest='area')
    _add_commands(areas, [])
    found = {}
    for area, inner in areas.choices.items():
        verbs: list[str] = []
        for action in inner._actions:
            if isinstance(action, argparse._SubParsersAction):
                verbs = sorted(action.choices)
        found[area] = verbs
    return found
