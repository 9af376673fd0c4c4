"""Pydantic models as inputs and outputs of components."""

import json
import os
import subprocess
import sys
from typing import List, NamedTuple, Optional

import pytest
from conftest import compiled

from kfp import dsl
from kfp.dsl import errors

pydantic = pytest.importorskip('pydantic')
from pydantic import BaseModel, Field  # noqa: E402


class Part(BaseModel):
    name: str
    size: int = Field(gt=0)


class Whole(BaseModel):
    parts: List[Part]
    note: Optional[str] = None


class Both(NamedTuple):
    whole: Whole
    count: int


@dsl.component
def assemble(part: Part, count: int = 2) -> Whole:
    return Whole(parts=[part] * count)


@dsl.component
def split(whole: Whole) -> int:
    return sum(part.size for part in whole.parts)


@dsl.pipeline
def line(part: Part = Part(name='bolt', size=3)) -> int:
    assemble(part={'name': 'nut', 'size': 1})
    assemble(part=Part(name='nut', size=1))
    return split(whole=assemble(part=part).output).output


def step(component, values, tmp_path, environment):
    """What the step's program writes."""
    path = tmp_path / 'step.py'
    path.write_text(component.component_spec.container.command[-1])
    output = tmp_path / 'output.json'
    done = subprocess.run(
        [sys.executable, '-m', 'kfp.dsl.executor_main', '--component_module_path', str(path), '--function_to_execute',
         component.python_func.__name__, '--executor_input',
         json.dumps({'inputs': {'parameterValues': values}, 'outputs': {'outputFile': str(output)}})],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return (json.loads(output.read_text())['parameterValues'] if done.returncode == 0 else None), done.stdout


def test_models_are_structs():
    document, _ = compiled(line)
    definition = document['root']['inputDefinitions']['parameters']['part']
    assert definition['parameterType'] == 'STRUCT' and definition['defaultValue'] == {'name': 'bolt', 'size': 3.0}
    assert document['components']['comp-assemble']['outputDefinitions']['parameters']['Output']['parameterType'] == 'STRUCT'
    tasks = document['root']['dag']['tasks']
    constant = {'runtimeValue': {'constant': {'name': 'nut', 'size': 1.0}}}
    assert tasks['assemble']['inputs']['parameters']['part'] == tasks['assemble-2']['inputs']['parameters']['part'] == constant


def test_models_go_along_with_the_step(tmp_path, task_environment):
    made, said = step(assemble, {'part': {'name': 'nut', 'size': 1.0}, 'count': 3}, tmp_path, task_environment)
    assert made == {'Output': {'parts': [{'name': 'nut', 'size': 1}] * 3, 'note': None}}, said
    made, said = step(split, {'whole': made['Output']}, tmp_path, task_environment)
    assert made == {'Output': 3}, said


def test_what_is_no_such_model_fails_the_step(tmp_path, task_environment):
    made, said = step(assemble, {'part': {'name': 'nut', 'size': -1}}, tmp_path, task_environment)
    assert made is None and 'size' in said and 'greater than 0' in said


def test_other_types_are_refused_when_compiled():
    with pytest.raises(errors.InconsistentTypeException, match=os.path.basename(__file__)):
        @dsl.pipeline
        def wrong():
            assemble(part='nut')
