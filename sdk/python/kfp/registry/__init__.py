"""kfp.registry: a server's stored pipelines as packages with versions and tags."""

from kfp.registry.registry_client import ApiAuth, RegistryClient

__all__ = ['RegistryClient', 'ApiAuth']
