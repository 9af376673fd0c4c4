"""v1: kfp.auth, tokens for kfp.Client(credentials=…)."""

from __future__ import annotations

import os

KF_PIPELINES_SA_TOKEN_ENV = 'KF_PIPELINES_SA_TOKEN_PATH'
KF_PIPELINES_SA_TOKEN_PATH = '/var/run/secrets/kubeflow/pipelines/token'


class TokenCredentialsBase:
    """Base of what gives kfp.Client a token for each request."""

    def get_token(self) -> str:
        """The bearer token to send now. To be given by a subclass."""
        raise NotImplementedError(f'{type(self).__name__} does not say how to get a token')


class ServiceAccountTokenVolumeCredentials(TokenCredentialsBase):
    """The token of a service account that Kubernetes mounts as a file, and renews there.

    Args:
        path: the file; else KF_PIPELINES_SA_TOKEN_PATH, else the usual place.
    """

    def __init__(self, path: str | None = None):
        self._path = path or os.environ.get(KF_PIPELINES_SA_TOKEN_ENV) or KF_PIPELINES_SA_TOKEN_PATH

    def get_token(self) -> str:
        """What the file holds now. Raises OSError when it cannot be read."""
        return read_token_from_file(self._path)


def read_token_from_file(path: str | None = None) -> str:
    """The token in a file, without white space around it. Raises OSError when it cannot be read.

    path: the file; the usual place when None.
    """
    with open(path or KF_PIPELINES_SA_TOKEN_PATH) as file:
        return file.read().strip()


__all__ = ['KF_PIPELINES_SA_TOKEN_ENV', 'KF_PIPELINES_SA_TOKEN_PATH', 'ServiceAccountTokenVolumeCredentials',
           'TokenCredentialsBase', 'read_token_from_file']
