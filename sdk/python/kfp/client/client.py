"""kfp.Client: pipelines, runs, experiments and schedules on a server."""

from __future__ import annotations

from kfp.client.raw import Raw
from kfp.client.results import Results
from kfp.client.runs import RunPipelineResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kfp.client.pipelines import PipelineFunc


class Client(Results):
    """A connection to a Penstock or Kubeflow Pipelines server.

    Args:
        host: its address, also with /pipeline at the end. Else KF_PIPELINES_ENDPOINT, else the host in
            ~/.config/kfp/context.json, else http://127.0.0.1:8080.
        namespace: whose objects to use on servers with several users.
        existing_token: a bearer token.
        cookies: a Cookie header.
        proxy: an HTTP proxy's URL.
        ssl_ca_cert: a file of authorities to trust; verify_ssl=False trusts anyone.
        credentials: an object whose get_token() gives the bearer token.
        ui_host: the address in printed links (host).
        client_id, other_client_id, other_client_secret, kube_context: of upstream's client, without a meaning here.
    """

    # Where upstream's client finds a server inside a cluster; for code that reads them.
    IN_CLUSTER_DNS_NAME = 'ml-pipeline.{}.svc.cluster.local:8888'
    KUBE_PROXY_PATH = 'api/v1/namespaces/{}/services/ml-pipeline:http/proxy/'
    NAMESPACE_PATH = '/var/run/secrets/kubernetes.io/serviceaccount/namespace'
    LOCAL_KFP_CONTEXT = '~/.config/kfp/context.json'

    def __init__(self, host: str | None = None, client_id: str | None = None, namespace: str | None = None,
                 other_client_id: str | None = None, other_client_secret: str | None = None,
                 existing_token: str | None = None, cookies: str | None = None, proxy: str | None = None,
                 ssl_ca_cert: str | None = None, kube_context: str | None = None, credentials: Any = None,
                 ui_host: str | None = None, verify_ssl: bool | None = None):
        super().__init__(host, namespace, existing_token, cookies, proxy, ssl_ca_cert, credentials, ui_host, verify_ssl)
        # The API objects that code for upstream's clients reaches for.
        self.runs = self._run_api = Raw(self, 'run')
        self.jobs = self._job_api = self._recurring_run_api = Raw(self, 'recurring_run')
        self.experiments = self._experiment_api = Raw(self, 'experiment')
        self.pipelines = self._pipelines_api = Raw(self, 'pipeline')


def run_pipeline_func_on_cluster(pipeline_func: PipelineFunc, arguments: dict[str, Any], run_name: str | None = None,
                                 experiment_name: str | None = None, kfp_client: Client | None = None,
                                 pipeline_conf: Any = None) -> RunPipelineResult:
    """v1: compiles a pipeline and runs it on a server.

    Args:
        pipeline_func: what @dsl.pipeline made, or a v1 pipeline function.
        arguments: {input: value}.
        run_name, experiment_name, pipeline_conf: as for Client.create_run_from_pipeline_func.
        kfp_client: the server; the default one when None.
    """
    client = kfp_client or Client()
    return client.create_run_from_pipeline_func(pipeline_func, arguments, run_name, experiment_name,
                                                pipeline_conf=pipeline_conf)
