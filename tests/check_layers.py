"""Checks that each folder of src/ includes only the folders that its CMakeLists.txt names after USES, that those are
ones which the architecture allows, and that Beast and the database drivers stay inside their own folders."""
import pathlib
import re
import sys

ALLOWED = {
    'base': set(),
    'http': {'base'},
    'db': {'base'},
    'kube': {'base', 'http', 'db'},
    'node': {'base', 'http', 'kube'},
    'objects': {'base', 'http', 'db'},
    'stores': {'base', 'http', 'db', 'kube', 'objects'},
    'metadata': {'base', 'db'},
    'pipelines': {'base', 'http', 'db', 'kube', 'objects', 'stores', 'metadata'},
    'registry': {'base', 'http', 'db', 'metadata'},
    'server': {'base', 'http', 'db', 'kube', 'node', 'objects', 'stores', 'metadata', 'pipelines', 'registry'},
    'cli': {'base', 'http', 'server'},
}
PRIVATE = {'boost/beast': 'http', 'curl/': 'http', 'sqlite3.h': 'db', 'yaml-cpp/': 'base'}

root = pathlib.Path(__file__).resolve().parent.parent / 'src'
problems = []
for folder in sorted(p for p in root.iterdir() if p.is_dir()):
    name = folder.name
    if name not in ALLOWED:
        problems.append(f'src/{name}: a folder that the layering does not know')
        continue
    text = (folder / 'CMakeLists.txt').read_text()
    match = re.search(r'USES ([a-z ]+)', text) or re.search(r'cli "([a-z;]+)"', text)
    uses = set(re.split(r'[ ;]+', match.group(1).strip())) if match else set()
    for extra in sorted(uses - ALLOWED[name]):
        problems.append(f'src/{name}/CMakeLists.txt: may not use {extra}')
    for source in sorted([*folder.rglob('*.h'), *folder.rglob('*.cpp')]):
        for number, line in enumerate(source.read_text().splitlines(), 1):
            where = f'{source.relative_to(root.parent)}:{number}'
            own = re.match(r'#include "([a-z0-9_]+)/', line)
            if own and own.group(1) in ALLOWED and own.group(1) != name and own.group(1) not in ALLOWED[name]:
                problems.append(f'{where}: src/{name} may not include {own.group(1)}')
            outside = re.match(r'#include <([^>]+)>', line)
            if outside:
                for prefix, owner in PRIVATE.items():
                    if outside.group(1).startswith(prefix) and name != owner:
                        problems.append(f'{where}: {prefix} belongs to src/{owner} alone')
print('\n'.join(problems) if problems else 'layers hold')
sys.exit(1 if problems else 0)
