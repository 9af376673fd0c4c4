"""The component classes under their upstream module's name."""

from kfp.dsl.component_classes import BaseComponent, ContainerComponent, GraphComponent, PythonComponent, YamlComponent

__all__ = ['BaseComponent', 'ContainerComponent', 'GraphComponent', 'PythonComponent', 'YamlComponent']
