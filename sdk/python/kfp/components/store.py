"""v1: ComponentStore, which finds component.yaml files by name."""

from __future__ import annotations

import glob
import os

from kfp.components import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List

    from kfp.dsl.component_classes import BaseComponent

_FILE = 'component.yaml'


class ComponentStore:
    """Finds component.yaml files by name in folders and under URL prefixes.

    Args:
        local_search_paths: folders; the current one when None.
        url_search_prefixes: URLs, to which <name>/component.yaml is added.
        auth: (user, password) for these.
        uri_search_template: a URL with {name} in it, asked as well.
    """

    default_store: ComponentStore

    def __init__(self, local_search_paths: list[str] | None = None, url_search_prefixes: list[str] | None = None,
                 auth: Any = None, uri_search_template: str | None = None):
        self.local_search_paths = local_search_paths or ['.']
        self.url_search_prefixes = url_search_prefixes or []
        self.uri_search_template = uri_search_template
        self._auth = auth

    def _urls(self, name: str) -> list[str]:
        urls = [f'{prefix.rstrip("/")}/{name}/{_FILE}' for prefix in self.url_search_prefixes]
        if self.uri_search_template:
            urls.append(self.uri_search_template.format(name=name))
        return urls

    def load_component(self, name: str, digest: str | None = None, tag: str | None = None) -> BaseComponent:
        """The component of that name, from the first place that has it.

        Args:
            name: the folder of its component.yaml, such as 'gcp/dataproc/submit'.
            digest: the SHA-256 that its file must have, in hex.
            tag: accepted for v1: files have no tags.

        Raises:
            RuntimeError: no place has it.
        """
        import hashlib
        texts = []
        for folder in self.local_search_paths:
            path = os.path.join(folder, name, _FILE)
            if os.path.exists(path):
                with open(path, 'rb') as file:
                    texts.append(file.read().decode('utf-8'))
        for url in self._urls(name) if not texts or digest else ():
            try:
                texts.append(load._fetch(url, self._auth))
            except OSError:
                continue
        for text in texts:
            if digest is None or hashlib.sha256(text.encode()).hexdigest() == digest:
                return load.load_component_from_text(text)
        places = ', '.join(self.local_search_paths + self._urls(name))
        raise RuntimeError(f'no component {name!r}{" of that digest" if digest else ""} in {places}')

    def load_component_from_url(self, url: str) -> BaseComponent:
        """The component at a URL; see kfp.components.load_component_from_url."""
        return load.load_component_from_url(url, self._auth)

    def load_component_from_file(self, path: str) -> BaseComponent:
        """The component in a file; see kfp.components.load_component_from_file."""
        return load.load_component_from_file(path)

    def list(self) -> list[str]:
        """The names of all components in the folders; places behind URLs cannot be listed."""
        found = set()
        for folder in self.local_search_paths:
            for path in glob.glob(os.path.join(glob.escape(folder), '**', _FILE), recursive=True):
                found.add(os.path.relpath(os.path.dirname(path), folder).replace(os.sep, '/'))
        return sorted(found)

    def search(self, name: str) -> List[str]:
        """The names of components in the folders that have `name` in them."""
        return [found for found in self.list() if name in found]


ComponentStore.default_store = ComponentStore()
