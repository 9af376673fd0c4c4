"""What PipelinesClient returns: records of the API under names of their own. Fields are attributes; see kfp.client.Record."""

from __future__ import annotations

from kfp.client.connection import Page
from kfp.client.rest import Record


class Pipeline(Record):
    """A stored pipeline: pipeline_id, display_name, description, created_at, …"""


class PipelineVersion(Record):
    """A version of a pipeline: pipeline_id, pipeline_version_id, display_name, pipeline_spec, …"""


class Run(Record):
    """A run: run_id, display_name, state, error, created_at, finished_at, …"""


class Experiment(Record):
    """An experiment: experiment_id, display_name, description, …"""


class ListPipelinesResponse(Page):
    """A page of pipelines: .pipelines, .next_page_token, .total_size."""


class ListPipelineVersionsResponse(Page):
    """A page of versions: .pipeline_versions, .next_page_token, .total_size."""


class ListRunsResponse(Page):
    """A page of runs: .runs, .next_page_token, .total_size."""


class ListExperimentsResponse(Page):
    """A page of experiments: .experiments, .next_page_token, .total_size."""


__all__ = ['Pipeline', 'PipelineVersion', 'Run', 'Experiment', 'ListPipelinesResponse', 'ListPipelineVersionsResponse',
           'ListRunsResponse', 'ListExperimentsResponse']
