"""kfp.kubeflow_client: PipelinesClient, a client that works with names instead of ids."""

from kfp.kubeflow_client import constants
from kfp.kubeflow_client.client import KubernetesBackendConfig, PipelinesClient
from kfp.kubeflow_client.types import (Experiment, ListExperimentsResponse, ListPipelinesResponse, ListPipelineVersionsResponse,
                                       ListRunsResponse, Pipeline, PipelineVersion, Run)

__all__ = ['constants', 'Experiment', 'KubernetesBackendConfig', 'ListExperimentsResponse', 'ListPipelinesResponse',
           'ListPipelineVersionsResponse', 'ListRunsResponse', 'Pipeline', 'PipelinesClient', 'PipelineVersion', 'Run']
