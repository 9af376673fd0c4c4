"""kfp.client: talks to a server's REST API with nothing but the standard library."""

from kfp.client.client import Client, run_pipeline_func_on_cluster
from kfp.client.connection import Page
from kfp.client.rest import ApiError, Record
from kfp.client.runs import RunPipelineResult

__all__ = ['ApiError', 'Client', 'Page', 'Record', 'RunPipelineResult', 'run_pipeline_func_on_cluster']
