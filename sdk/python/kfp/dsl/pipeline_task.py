"""PipelineTask under its upstream module's name."""

from kfp.dsl.task import PipelineTask

__all__ = ['PipelineTask']
