"""v1: dsl.PipelineConf, the settings of a whole pipeline."""

from __future__ import annotations

from kfp.dsl.v1_objects import field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from kfp.dsl.context import Pipeline
    from kfp.dsl.pipeline_config import PipelineConfig


class PipelineConf:
    """Settings of a pipeline, by dsl.get_pipeline_conf() inside it or as pipeline_conf of the compiler and the client.

    What IR can say goes into every task or into the pipeline's settings. set_parallelism, set_dns_config and
    set_pod_disruption_budget have no counterpart: a warning says so.
    """

    def __init__(self) -> None:
        self.image_pull_secrets: list[Any] = []
        self.timeout = 0
        self.ttl_seconds_after_finished = -1
        self.parallelism: int | None = None
        self.default_pod_node_selector: dict[str, str] = {}
        self.image_pull_policy: str | None = None
        self.op_transformers: list[Callable[[Any], Any]] = []
        self.data_passing_method: Any = None

    def set_image_pull_secrets(self, image_pull_secrets: list[Any]) -> PipelineConf:
        """By which secrets all images are pulled: names, or objects with a name."""
        self.image_pull_secrets = image_pull_secrets
        return self

    def set_timeout(self, seconds: int) -> PipelineConf:
        """After how many seconds a run is ended."""
        self.timeout = seconds
        return self

    def set_parallelism(self, max_num_pods: int) -> PipelineConf:
        """How many pods run at a time; without an effect here, where tasks wait for a place on the machine."""
        _no_effect('set_parallelism')
        self.parallelism = max_num_pods
        return self

    def set_ttl_seconds_after_finished(self, seconds: int) -> PipelineConf:
        """How long what a run used on the cluster is kept after its end."""
        self.ttl_seconds_after_finished = seconds
        return self

    def set_default_pod_node_selector(self, label_name: str, value: str) -> PipelineConf:
        """On nodes with this label, unless a task asks for others.

        Args:
            label_name, value: the label.
        """
        self.default_pod_node_selector[label_name] = value
        return self

    def set_image_pull_policy(self, policy: str) -> PipelineConf:
        """When images are pulled, unless a task says otherwise: 'Always', 'Never' or 'IfNotPresent'."""
        self.image_pull_policy = policy
        return self

    def add_op_transformer(self, transformer: Callable[[Any], Any]) -> PipelineConf:
        """Calls `transformer(task)` for every task when the pipeline is compiled."""
        self.op_transformers.append(transformer)
        return self

    def set_dns_config(self, dns_config: Any) -> PipelineConf:
        """How pods look up names; without an effect here."""
        _no_effect('set_dns_config')
        return self

    def set_pod_disruption_budget(self, min_available: Any) -> PipelineConf:
        """How many pods of a run stay in a disruption; without an effect here."""
        _no_effect('set_pod_disruption_budget')
        return self

    def apply(self, pipeline: Pipeline) -> None:
        """Gives the settings to every task of a pipeline, and of the pipelines in it."""
        from kfp import kubernetes
        for task in list(pipeline.tasks.values()):
            for transformer in self.op_transformers:
                transformer(task)
            if task.spec.graph is not None:
                self.apply(task.spec.graph)
            if task.spec.container is None or task.spec.container.image.startswith('argostub/'):
                continue
            if self.image_pull_secrets and 'imagePullSecret' not in task.platform:
                kubernetes.set_image_pull_secrets(task, [secret if isinstance(secret, str) else field(secret, 'name')
                                                         for secret in self.image_pull_secrets])
            if self.image_pull_policy and 'imagePullPolicy' not in task.platform:
                kubernetes.set_image_pull_policy(task, self.image_pull_policy)
            if self.default_pod_node_selector and 'nodeSelector' not in task.platform:
                for name, value in self.default_pod_node_selector.items():
                    kubernetes.add_node_selector(task, name, value)

    def pipeline_config(self, base: PipelineConfig | None) -> PipelineConfig | None:
        """The settings of runs, over those of `base`."""
        if self.timeout <= 0 and self.ttl_seconds_after_finished < 0:
            return base
        from kfp.dsl.pipeline_config import PipelineConfig
        given = dict(vars(base)) if base is not None else {}
        if self.timeout > 0:
            given['active_deadline_seconds'] = self.timeout
        if self.ttl_seconds_after_finished >= 0:
            given['ttl_seconds_after_finished'] = self.ttl_seconds_after_finished
        return PipelineConfig(**given)


def _no_effect(method: str) -> None:
    import warnings
    warnings.warn(f'PipelineConf.{method}() has no counterpart in a v2 pipeline and no effect', stacklevel=3)


def get_pipeline_conf() -> PipelineConf:
    """The settings of the pipeline being built. Raises InvalidControlFlowException outside one."""
    from kfp.dsl import context
    pipeline = context.current('dsl.get_pipeline_conf()')
    if pipeline.conf is None:
        pipeline.conf = PipelineConf()
    return pipeline.conf
