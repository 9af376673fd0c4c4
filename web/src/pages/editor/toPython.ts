import type { Json } from "../../api/types";
import type { ArtifactSpec, ComponentSpec, InputSpec, ParameterSpec, PipelineSpec, TaskSpec } from "../../graph/spec";
import { executorOf } from "../../graph/spec";
import { producerOf, type Scope, slug, sourceOf } from "./edit";
import { sourceOfComponent } from "./python";

// Writes a pipeline as Python of the kfp package, to be read, kept and compiled again.

const annotations: { [type: string]: string } = {
  STRING: "str",
  NUMBER_INTEGER: "int",
  NUMBER_DOUBLE: "float",
  BOOLEAN: "bool",
  LIST: "list",
  STRUCT: "dict",
  TASK_FINAL_STATUS: "dsl.PipelineTaskFinalStatus",
};

/** A JSON value as a Python literal. */
export function pythonValue(value: Json): string {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string") return pythonString(value);
  if (Array.isArray(value)) return `[${value.map(pythonValue).join(", ")}]`;
  if (typeof value === "object")
    return `{${Object.entries(value)
      .map(([key, one]) => `${pythonString(key)}: ${pythonValue(one)}`)
      .join(", ")}}`;
  return String(value);
}

function pythonString(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text
    .replace(/\\/g, "\\\\")
    .replace(/\n/g, "\\n")
    .replace(/\r/g, "\\r")
    .replace(/\t/g, "\\t")
    .replaceAll(quote, `\\${quote}`);
  return quote + escaped + quote;
}

const identifier = (text: string) => slug(text).replace(/-/g, "_").replace(/^(\d)/, "_$1");

const kindOf = (spec: ParameterSpec) => {
  const older: { [type: string]: string } = { INT: "NUMBER_INTEGER", DOUBLE: "NUMBER_DOUBLE" };
  const type = spec.parameterType ?? spec.type ?? "STRING";
  return annotations[older[type] ?? type] ?? "str";
};

/** The value of a parameter of that type as Python has it: an int without a point. */
const typedValue = (spec: ParameterSpec, value: Json) =>
  kindOf(spec) === "float" && typeof value === "number" && Number.isInteger(value) ? `${value}.0` : pythonValue(value);

const artifactName = (spec: ArtifactSpec) =>
  `dsl.${(spec.artifactType?.schemaTitle ?? "system.Artifact").replace("system.", "")}`;

class Writer {
  private readonly components = new Map<string, string>();
  private readonly definitions: string[] = [];
  private readonly taken = new Set<string>(["kfp", "dsl", "List", "Dict"]);

  constructor(private spec: PipelineSpec) {}

  write(): string {
    const name = this.spec.pipelineInfo?.name ?? "pipeline";
    const [main, own] = this.pipeline(name, this.spec.pipelineInfo?.description);
    return [
      "import kfp",
      "from kfp import dsl",
      "from kfp.dsl import *",
      "from typing import *",
      "",
      "",
      ...this.definitions.flatMap((definition) => [definition, "", ""]),
      main,
      "",
      "",
      "if __name__ == '__main__':",
      `    kfp.compiler.Compiler().compile(${own}, ${pythonString(`${name}.yaml`)})`,
      "",
    ].join("\n");
  }

  private free(wanted: string): string {
    let name = wanted;
    for (let number = 2; this.taken.has(name); number++) name = `${wanted}_${number}`;
    this.taken.add(name);
    return name;
  }

  /** The root's DAG as a @dsl.pipeline function: its text, and the function's name. */
  private pipeline(name: string, description?: string): [string, string] {
    const component = this.spec.root;
    const parameters = Object.entries(component.inputDefinitions?.parameters ?? {});
    // Those with a default come last, as Python wants them.
    const sorted = [...parameters].sort(
      ([, a], [, b]) =>
        Number(a.defaultValue !== undefined || !!a.isOptional) - Number(b.defaultValue !== undefined || !!b.isOptional),
    );
    const head = [
      ...Object.entries(component.inputDefinitions?.artifacts ?? {}).map(
        ([input, spec]) => `${input}: Input[${artifactName(spec)}]`,
      ),
      ...sorted.map(([input, spec]) => {
        const byDefault =
          spec.defaultValue !== undefined
            ? ` = ${typedValue(spec, spec.defaultValue)}`
            : spec.isOptional
              ? " = None"
              : "";
        return `${input}: ${kindOf(spec)}${byDefault}`;
      }),
    ];
    const own = this.free(identifier(name));
    const body = this.tasks([], component, 1);
    const outputs = this.outputs(component);
    const text = [
      `@dsl.pipeline(name=${pythonString(name)})`,
      `def ${own}(${head.join(", ")})${outputs.annotation}:`,
      ...(description ? [`    ${JSON.stringify(description)}`.replace(/^( *)"([\s\S]*)"$/, '$1"""$2"""')] : []),
      ...(body.length > 0 ? body : ["    pass"]),
      ...outputs.lines,
    ].join("\n");
    return [text, own];
  }

  private outputs(component: ComponentSpec): { annotation: string; lines: string[] } {
    const outputs = component.dag?.outputs as { parameters?: { [name: string]: Json } } | undefined;
    const found = Object.entries(outputs?.parameters ?? {}).flatMap(([name, value]) => {
      const from = (value as { valueFromParameter?: { producerSubtask?: string; outputParameterKey?: string } })
        .valueFromParameter;
      const spec = component.outputDefinitions?.parameters?.[name];
      return from?.producerSubtask && spec
        ? [{ name, spec, text: this.output(from.producerSubtask, from.outputParameterKey ?? "Output") }]
        : [];
    });
    const [only] = found;
    if (found.length === 1 && only?.name === "Output")
      return { annotation: ` -> ${kindOf(only.spec)}`, lines: [`    return ${only.text}`] };
    return { annotation: "", lines: [] };
  }

  private output(task: string, key: string): string {
    return `${identifier(task)}_task.outputs[${pythonString(key)}]`;
  }

  private tasks(scope: Scope, component: ComponentSpec, depth: number): string[] {
    const tasks = component.dag?.tasks ?? {};
    const lines = this.ordered(tasks).flatMap((name) => this.task(scope, name, tasks[name] as TaskSpec, tasks, depth));
    return lines;
  }

  /** What is waited for comes first. */
  private ordered(tasks: { [name: string]: TaskSpec }): string[] {
    const order: string[] = [];
    const visit = (name: string) => {
      if (order.includes(name) || !tasks[name]) return;
      for (const producer of producers(tasks[name] as TaskSpec)) visit(producer);
      if (!order.includes(name)) order.push(name);
    };
    for (const name of Object.keys(tasks)) visit(name);
    return order;
  }

  private task(
    scope: Scope,
    name: string,
    task: TaskSpec,
    beside: { [name: string]: TaskSpec },
    depth: number,
  ): string[] {
    const indent = "    ".repeat(depth);
    const component = this.spec.components?.[task.componentRef?.name ?? ""] ?? {};
    const inner = [...scope, name];
    const nothing = [`${"    ".repeat(depth + 1)}pass`];
    if (component.dag && task.parameterIterator) {
      const body = this.tasks(inner, component, depth + 1);
      const limit = task.iteratorPolicy?.parallelismLimit;
      return [
        `${indent}with dsl.ParallelFor(${this.items(scope, task)}${limit ? `, parallelism=${limit}` : ""}) as ${identifier(name)}_item:`,
        ...(body.length > 0 ? body : nothing),
      ];
    }
    if (component.dag && /^comp-condition-branches-/.test(task.componentRef?.name ?? ""))
      return this.tasks(inner, component, depth);
    if (component.dag && task.triggerPolicy?.condition !== undefined) {
      const body = this.tasks(inner, component, depth + 1);
      return [`${indent}with dsl.If(${this.condition(scope, task)}):`, ...(body.length > 0 ? body : nothing)];
    }
    if (component.dag && /^comp-exit-handler-/.test(task.componentRef?.name ?? "")) {
      const always = Object.entries(beside).find(
        ([, one]) => one.triggerPolicy?.strategy && one.dependentTasks?.includes(name),
      );
      const body = this.tasks(inner, component, depth + 1);
      return [
        ...(always ? this.call(scope, always[0], always[1], depth, [name]) : []),
        `${indent}with dsl.ExitHandler(${always ? `${identifier(always[0])}_task` : "None"}):`,
        ...(body.length > 0 ? body : nothing),
      ];
    }
    const isExitTask = task.triggerPolicy?.strategy && task.dependentTasks?.some((one) => /^exit-handler-/.test(one));
    return isExitTask ? [] : this.call(scope, name, task, depth, []);
  }

  private call(scope: Scope, name: string, task: TaskSpec, depth: number, not: string[]): string[] {
    const indent = "    ".repeat(depth);
    const inputs = { ...task.inputs?.parameters, ...task.inputs?.artifacts };
    const given = Object.entries(inputs)
      .filter(([input, from]) => !input.startsWith("pipelinechannel--") && !from.taskFinalStatus)
      .map(([input, from]) => `${input}=${this.value(scope, from)}`);
    const variable = `${identifier(name)}_task`;
    const lines = [`${indent}${variable} = ${this.component(task)}(${given.join(", ")})`];
    const data = new Set(Object.values(inputs).flatMap((from) => producerOf(from)?.task ?? []));
    const after = (task.dependentTasks ?? []).filter((one) => !data.has(one) && !not.includes(one));
    if (after.length > 0)
      lines.push(`${indent}${variable}.after(${after.map((one) => `${identifier(one)}_task`).join(", ")})`);
    if (task.cachingOptions && !task.cachingOptions.enableCache)
      lines.push(`${indent}${variable}.set_caching_options(False)`);
    if (task.retryPolicy?.maxRetryCount)
      lines.push(`${indent}${variable}.set_retry(num_retries=${task.retryPolicy.maxRetryCount})`);
    const shown = task.taskInfo?.name;
    if (shown && shown !== name) lines.push(`${indent}${variable}.set_display_name(${pythonString(shown)})`);
    return lines;
  }

  private value(scope: Scope, input: InputSpec): string {
    const source = sourceOf(this.spec, scope, input);
    switch (source?.from) {
      case "constant":
        return pythonValue(source.value);
      case "input":
        return source.name;
      case "task":
        return this.output(source.task, source.output);
      case "item":
        return `${identifier(source.loop)}_item`;
      default:
        return "None";
    }
  }

  private items(scope: Scope, task: TaskSpec): string {
    const { raw, inputParameter } = task.parameterIterator?.items ?? {};
    if (inputParameter === undefined) return pythonValue(JSON.parse(raw ?? "[]") as Json);
    return this.value(scope, task.inputs?.parameters?.[inputParameter] ?? {});
  }

  /** Comparisons are written as such; what is more is kept as its text beside a condition that always holds. */
  private condition(scope: Scope, task: TaskSpec): string {
    const text = task.triggerPolicy?.condition ?? "true";
    const last = text.replace(/^(?:!\((?:[^()]|\([^()]*\))*\) && )+/, "");
    const match = /^(?:int\()?inputs\.parameter_values\['([^']+)'\]\)?\s*(==|!=|>=|<=|>|<)\s*([\s\S]+)$/.exec(last);
    if (!match) return "True == True";
    const [, channel = "", operator = "==", right = ""] = match;
    const side = /^'([\s\S]*)'$/.exec(right);
    const value = side
      ? pythonString((side[1] as string).replace(/\\'/g, "'").replace(/\\\\/g, "\\"))
      : right === "true"
        ? "True"
        : right === "false"
          ? "False"
          : right;
    return `${this.value(scope, task.inputs?.parameters?.[channel] ?? {})} ${operator} ${value}`;
  }

  /** The function that makes the task's component, defined when it is first asked for. */
  private component(task: TaskSpec): string {
    const reference = task.componentRef?.name ?? "";
    const known = this.components.get(reference);
    if (known) return known;
    const component = this.spec.components?.[reference] ?? {};
    if (component.dag) {
      // A sub-pipeline's inputs are its own function's parameters.
      const around = this.spec;
      this.spec = { ...around, root: component };
      const [text, name] = this.pipeline(reference.replace(/^comp-/, ""));
      this.spec = around;
      this.components.set(reference, name);
      this.definitions.push(text);
      return name;
    }
    const executor = executorOf(this.spec, component);
    const python = sourceOfComponent(executor);
    if (python) {
      const same = [...this.components].find(([other]) => {
        const found = sourceOfComponent(executorOf(this.spec, this.spec.components?.[other] ?? {}));
        return found?.source === python.source && found.packages.join() === python.packages.join();
      });
      if (same) {
        this.components.set(reference, same[1]);
        return same[1];
      }
      const options = [
        executor?.container?.image && `base_image=${pythonString(executor.container.image)}`,
        python.packages.length > 0 && `packages_to_install=${pythonValue(python.packages)}`,
      ].filter(Boolean);
      const name = this.free(python.name);
      const source =
        name === python.name ? python.source : python.source.replace(`def ${python.name}(`, `def ${name}(`);
      this.definitions.push(`@dsl.component(${options.join(", ")})\n${source}`);
      this.components.set(reference, name);
      return name;
    }
    return this.loaded(reference, component);
  }

  /** A component of a container, as the text of a component file that is loaded. */
  private loaded(reference: string, component: ComponentSpec): string {
    const name = this.free(identifier(reference.replace(/^comp-/, "")));
    const container = executorOf(this.spec, component)?.container;
    const head = [
      ...Object.entries(component.inputDefinitions?.parameters ?? {}).map(
        ([input, spec]) =>
          `${input}: ${kindOf(spec)}${spec.defaultValue !== undefined ? ` = ${typedValue(spec, spec.defaultValue)}` : ""}`,
      ),
      ...Object.entries(component.inputDefinitions?.artifacts ?? {}).map(
        ([input, spec]) => `${input}: Input[${artifactName(spec)}]`,
      ),
      ...Object.entries(component.outputDefinitions?.parameters ?? {}).map(
        ([output, spec]) => `${output}: dsl.OutputPath(${kindOf(spec)})`,
      ),
      ...Object.entries(component.outputDefinitions?.artifacts ?? {}).map(
        ([output, spec]) => `${output}: Output[${artifactName(spec)}]`,
      ),
    ];
    const word = (text: string) => {
      const placeholder =
        /^\{\{\$\.(inputs|outputs)\.(parameters|artifacts)\['([^']+)'\](?:\.(value|uri|path|output_file))?\}\}$/.exec(
          text,
        );
      if (!placeholder) return pythonString(text);
      const [, , kind, port, part] = placeholder;
      return kind === "artifacts" ? `${port}.${part ?? "path"}` : `${port}`;
    };
    this.definitions.push(
      [
        "@dsl.container_component",
        `def ${name}(${head.join(", ")}):`,
        "    return dsl.ContainerSpec(",
        `        image=${pythonString(container?.image ?? "")},`,
        `        command=[${(container?.command ?? []).map(word).join(", ")}],`,
        `        args=[${(container?.args ?? []).map(word).join(", ")}],`,
        "    )",
      ].join("\n"),
    );
    this.components.set(reference, name);
    return name;
  }
}

function producers(task: TaskSpec): string[] {
  const inputs = [...Object.values(task.inputs?.parameters ?? {}), ...Object.values(task.inputs?.artifacts ?? {})];
  return [...(task.dependentTasks ?? []), ...inputs.flatMap((input) => producerOf(input)?.task ?? [])];
}

export const toPython = (spec: PipelineSpec): string => new Writer(spec).write();
