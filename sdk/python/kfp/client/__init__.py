"""kfp.client: talks to a server's REST API with nothing but the standard library."""

from kfp.client.client import Client, RunPipelineResult, run_pipeline_func_on_cluster
from kfp.client.rest import ApiError, Record

__all__ = ['ApiError', 'Client', 'Record', 'RunPipelineResult', 'run_pipeline_func_on_cluster']
