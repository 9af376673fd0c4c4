import type { Json, JsonObject } from "../api/types";
import { type ComponentSpec, type PipelineSpec, pipelineSpecOf, type TaskSpec } from "./spec";

// A workflow of the first SDK (Argo's `kind: Workflow`) as the graph shows pipelines: templates are components, their
// dags and steps have tasks. It is for looking at alone; the server runs the workflow itself, under the same names.

interface WorkflowTask {
  name: string;
  template?: string;
  dependencies?: string[];
  depends?: string;
  when?: string;
  arguments?: Json;
  withItems?: Json;
  withParam?: Json;
  withSequence?: Json;
}

interface Template {
  name: string;
  dag?: { tasks?: WorkflowTask[] };
  steps?: (WorkflowTask | WorkflowTask[])[];
  container?: { image?: string; command?: string[]; args?: string[] };
  script?: { image?: string; command?: string[]; source?: string };
}

interface WorkflowSpec {
  entrypoint?: string;
  templates?: Template[];
  arguments?: { parameters?: { name: string; value?: Json; description?: string }[] };
}

const reference = (template: string | undefined) => `comp-${template ?? ""}`;

/** The tasks that it names in what it is given and in its condition. */
function namedIn(task: WorkflowTask): string[] {
  const text = JSON.stringify([task.arguments, task.when, task.withParam, task.withSequence]);
  return [...text.matchAll(/\{\{=?\s*(?:tasks|steps)\.([\w-]+)\./g)].map(([, name]) => name as string);
}

function taskOf(task: WorkflowTask, before: string[]): TaskSpec {
  const depends = [...(task.depends ?? "").matchAll(/[A-Za-z0-9_-]+(?=\.|\b)/g)].map(([name]) => name);
  const waits = new Set([...(task.dependencies ?? []), ...depends, ...namedIn(task), ...before]);
  waits.delete(task.name);
  const loops = task.withItems !== undefined || task.withParam !== undefined || task.withSequence !== undefined;
  return {
    taskInfo: { name: task.name },
    componentRef: { name: reference(task.template) },
    dependentTasks: [...waits],
    ...(task.when !== undefined && { triggerPolicy: { condition: task.when } }),
    ...(loops && { parameterIterator: {} }),
  };
}

function componentOf(template: Template): ComponentSpec {
  if (template.dag)
    return {
      dag: { tasks: Object.fromEntries((template.dag.tasks ?? []).map((task) => [task.name, taskOf(task, [])])) },
    };
  if (template.steps) {
    const tasks: { [name: string]: TaskSpec } = {};
    let before: string[] = [];
    for (const group of template.steps) {
      const together = Array.isArray(group) ? group : [group];
      for (const task of together) tasks[task.name] = taskOf(task, before);
      before = together.map(({ name }) => name);
    }
    return { dag: { tasks } };
  }
  return { executorLabel: template.name };
}

export function workflowGraphOf(workflow: JsonObject): PipelineSpec | undefined {
  const { entrypoint = "", templates = [], arguments: given } = (workflow.spec ?? {}) as unknown as WorkflowSpec;
  const first = templates.find(({ name }) => name === entrypoint);
  if (!first) return undefined;
  const whole = componentOf(first);
  // A workflow of one step alone has a graph with that step.
  const root: ComponentSpec = whole.dag
    ? whole
    : { dag: { tasks: { [entrypoint]: taskOf({ name: entrypoint, template: entrypoint }, []) } } };
  root.inputDefinitions = {
    parameters: Object.fromEntries(
      (given?.parameters ?? []).map(({ name, value, description }) => [
        name,
        {
          parameterType: "STRING",
          description,
          ...(value !== undefined && { defaultValue: String(value), isOptional: true }),
        },
      ]),
    ),
  };
  return {
    pipelineInfo: { name: entrypoint },
    root,
    components: Object.fromEntries(templates.map((template) => [reference(template.name), componentOf(template)])),
    deploymentSpec: {
      executors: Object.fromEntries(
        templates.flatMap(({ name, container, script }) => {
          if (container) return [[name, { container }]];
          if (!script) return [];
          return [[name, { container: { image: script.image, command: script.command, args: [script.source ?? ""] } }]];
        }),
      ),
    },
  };
}

/** What the graph shows of a version's or run's `pipeline_spec`, whichever SDK made it. */
export const shownSpecOf = (json: JsonObject | undefined): PipelineSpec | undefined =>
  json?.kind === "Workflow" ? workflowGraphOf(json) : pipelineSpecOf(json);
