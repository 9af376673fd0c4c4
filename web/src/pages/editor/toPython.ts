import type { Json } from "../../api/types";
import type { ArtifactSpec, ComponentSpec, InputSpec, ParameterSpec, PipelineSpec, TaskSpec } from "../../graph/spec";
import { componentOf, executorOf } from "../../graph/spec";
import { slug } from "./edit";
import { EditError, producerOf, type Scope, sourceOf, tasksIn } from "./ports";
import { sourceOfComponent } from "./python";
import { isOpenGroup } from "./scene";

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

function pythonString(text: string, quote = text.includes("'") && !text.includes('"') ? '"' : "'"): string {
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

interface Selector {
  producerSubtask?: string;
  outputParameterKey?: string;
  outputArtifactKey?: string;
}

interface OutputSelector {
  valueFromParameter?: Selector;
  valueFromOneof?: { parameterSelectors?: Selector[] };
  artifactSelectors?: Selector[];
}

interface OutputMaps {
  parameters?: { [name: string]: OutputSelector };
  artifacts?: { [name: string]: OutputSelector };
}

/** How many earlier branches a condition says did not hold, and what it says beside that. */
function negations(condition: string): { count: number; rest: string } {
  let rest = condition.trim();
  let count = 0;
  while (rest.startsWith("!(")) {
    let depth = 0;
    let quoted = false;
    let at = 1;
    for (; at < rest.length; at++) {
      const letter = rest[at];
      if (quoted && letter === "\\") at++;
      else if (letter === "'") quoted = !quoted;
      else if (!quoted && letter === "(") depth++;
      else if (!quoted && letter === ")" && --depth === 0) break;
    }
    rest = rest.slice(at + 1).replace(/^\s*&&\s*/, "");
    count++;
  }
  return { count, rest };
}

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
    const outputs = component.dag?.outputs as OutputMaps | undefined;
    const types: { [name: string]: string } = {};
    for (const [name, spec] of Object.entries(component.outputDefinitions?.parameters ?? {}))
      types[name] = kindOf(spec);
    for (const [name, spec] of Object.entries(component.outputDefinitions?.artifacts ?? {}))
      types[name] = spec.isArtifactList ? `List[${artifactName(spec)}]` : artifactName(spec);
    const found = Object.entries({ ...outputs?.parameters, ...outputs?.artifacts }).flatMap(([name, value]) =>
      types[name] === undefined ? [] : [{ name, type: types[name], text: this.selected([], value, [name]) }],
    );
    const [only] = found;
    if (!only) return { annotation: "", lines: [] };
    if (found.length === 1 && only.name === "Output")
      return { annotation: ` -> ${only.type}`, lines: [`    return ${only.text}`] };
    const fields = found.map(({ name, type }) => `(${pythonString(name)}, ${type})`).join(", ");
    return {
      annotation: ` -> NamedTuple('Outputs', [${fields}])`,
      lines: [
        "    import collections",
        `    made = collections.namedtuple('Outputs', [${found.map(({ name }) => pythonString(name)).join(", ")}])`,
        `    return made(${found.map(({ name, text }) => `${name}=${text}`).join(", ")})`,
      ],
    };
  }

  /** What an output of a DAG is taken from: one task's output, or whichever of several was made. */
  private selected(scope: Scope, value: OutputSelector, path: string[]): string {
    const several = value.valueFromOneof?.parameterSelectors ?? value.artifactSelectors ?? [];
    const one = value.valueFromParameter ?? (several.length === 1 ? several[0] : undefined);
    const text = ({ producerSubtask = "", outputParameterKey, outputArtifactKey }: Selector) =>
      this.output(scope, producerSubtask, outputParameterKey ?? outputArtifactKey ?? "Output");
    if (one) return text(one);
    if (several.length === 0) throw new EditError(`nothing makes the output ${path.join(".")}`);
    return `dsl.OneOf(${several.map(text).join(", ")})`;
  }

  /** An output of a task; of a group that of the task inside which makes it, collected when the group is a loop. */
  private output(scope: Scope, task: string, key: string): string {
    const spec = tasksIn(this.spec, scope)[task];
    const component = this.spec.components?.[spec?.componentRef?.name ?? ""];
    if (!spec || !component || !isOpenGroup(spec, component))
      return `${identifier(task)}_task.outputs[${pythonString(key)}]`;
    const outputs = component.dag?.outputs as OutputMaps | undefined;
    const inner = this.selected([...scope, task], outputs?.parameters?.[key] ?? outputs?.artifacts?.[key] ?? {}, [
      task,
      key,
    ]);
    const loops = spec.parameterIterator ?? spec.artifactIterator;
    return loops ? `dsl.Collected(${inner.replace(/^dsl\.Collected\((.*)\)$/, "$1")})` : inner;
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
    if (component.dag && (task.parameterIterator ?? task.artifactIterator)) {
      const body = this.tasks(inner, component, depth + 1);
      const limit = task.iteratorPolicy?.parallelismLimit;
      return [
        `${indent}with dsl.ParallelFor(${this.items(scope, task)}${limit ? `, parallelism=${limit}` : ""}) as ${identifier(name)}_item:`,
        ...(body.length > 0 ? body : nothing),
      ];
    }
    if (component.dag && /^comp-condition-branches-/.test(task.componentRef?.name ?? ""))
      return this.branches(inner, component, depth);
    if (component.dag && task.triggerPolicy?.condition !== undefined) {
      const body = this.tasks(inner, component, depth + 1);
      const condition = this.condition(scope, name, task, task.triggerPolicy.condition);
      return [`${indent}with dsl.If(${condition}):`, ...(body.length > 0 ? body : nothing)];
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

  /** If, Elif and Else: the compiler writes into each that none of those before it held. */
  private branches(scope: Scope, component: ComponentSpec, depth: number): string[] {
    const indent = "    ".repeat(depth);
    const earlier = (task: TaskSpec) => negations(task.triggerPolicy?.condition ?? "").count;
    return Object.entries(component.dag?.tasks ?? {})
      .sort(([, a], [, b]) => earlier(a) - earlier(b))
      .flatMap(([name, task], index) => {
        const { rest } = negations(task.triggerPolicy?.condition ?? "");
        const inner = this.spec.components?.[task.componentRef?.name ?? ""] ?? {};
        const body = this.tasks([...scope, name], inner, depth + 1);
        const word =
          rest === "" ? "Else(" : `${index === 0 ? "If" : "Elif"}(${this.condition(scope, name, task, rest)}`;
        return [`${indent}with dsl.${word}):`, ...(body.length > 0 ? body : [`${indent}    pass`])];
      });
  }

  private call(scope: Scope, name: string, task: TaskSpec, depth: number, not: string[]): string[] {
    const indent = "    ".repeat(depth);
    const inputs = { ...task.inputs?.parameters, ...task.inputs?.artifacts };
    const given = Object.entries(inputs)
      .filter(([input, from]) => !input.startsWith("pipelinechannel--") && !from.taskFinalStatus)
      .map(([input, from]) => `${input}=${this.value(scope, from, task)}`);
    const variable = `${identifier(name)}_task`;
    const lines = [
      `${indent}${variable} = ${this.importer(scope, task) ?? `${this.component(task)}(${given.join(", ")})`}`,
    ];
    const data = new Set(Object.values(inputs).flatMap((from) => producerOf(from)?.task ?? []));
    const after = (task.dependentTasks ?? []).filter((one) => !data.has(one) && !not.includes(one));
    if (after.length > 0)
      lines.push(`${indent}${variable}.after(${after.map((one) => `${identifier(one)}_task`).join(", ")})`);
    if (task.cachingOptions && !task.cachingOptions.enableCache)
      lines.push(`${indent}${variable}.set_caching_options(False)`);
    if (task.retryPolicy?.maxRetryCount)
      lines.push(`${indent}${variable}.set_retry(num_retries=${task.retryPolicy.maxRetryCount})`);
    lines.push(...this.settings(task).map((setting) => `${indent}${variable}${setting}`));
    const shown = task.taskInfo?.name;
    if (shown && shown !== name) lines.push(`${indent}${variable}.set_display_name(${pythonString(shown)})`);
    return lines;
  }

  /** What is set of the task's container. */
  private settings(task: TaskSpec): string[] {
    const container = executorOf(this.spec, componentOf(this.spec, task))?.container;
    const resources = (container?.resources ?? {}) as { [name: string]: Json };
    const environment = (container?.env ?? []) as { name?: string; value?: string }[];
    const limits = [
      ["set_cpu_limit", resources.resourceCpuLimit ?? resources.cpuLimit],
      ["set_cpu_request", resources.resourceCpuRequest ?? resources.cpuRequest],
      ["set_memory_limit", resources.resourceMemoryLimit],
      ["set_memory_request", resources.resourceMemoryRequest],
    ] as const;
    const accelerator = (resources.accelerator ?? {}) as { [name: string]: Json };
    const type = accelerator.resourceType ?? accelerator.type;
    const count = accelerator.resourceCount ?? accelerator.count;
    return [
      ...environment.map(
        ({ name = "", value = "" }) => `.set_env_variable(${pythonString(name)}, ${pythonString(value)})`,
      ),
      ...limits.flatMap(([setter, value]) =>
        value === undefined ? [] : [`.${setter}(${pythonString(String(value))})`],
      ),
      ...(type === undefined ? [] : [`.set_accelerator_type(${pythonString(String(type))})`]),
      ...(count === undefined ? [] : [`.set_accelerator_limit(${String(count)})`]),
    ];
  }

  /** The call of dsl.importer that the task is; undefined when it is none. */
  private importer(scope: Scope, task: TaskSpec): string | undefined {
    const importer = executorOf(this.spec, componentOf(this.spec, task))?.importer as
      | {
          artifactUri?: { constant?: string };
          typeSchema?: { schemaTitle?: string };
          reimport?: boolean;
          metadata?: Json;
        }
      | undefined;
    if (!importer) return undefined;
    const uri = task.inputs?.parameters?.uri;
    const from = uri ? this.value(scope, uri, task) : pythonString(importer.artifactUri?.constant ?? "");
    const metadata = importer.metadata === undefined ? "" : `, metadata=${pythonValue(importer.metadata)}`;
    const type = artifactName({ artifactType: importer.typeSchema });
    return `dsl.importer(artifact_uri=${from}, artifact_class=${type}, reimport=${importer.reimport ? "True" : "False"}${metadata})`;
  }

  private value(scope: Scope, input: InputSpec, task?: TaskSpec): string {
    const source = sourceOf(this.spec, scope, input);
    const field = /^parseJson\(string_value\)\["(\w+)"\]$/.exec(input.parameterExpressionSelector ?? "")?.[1];
    const part = field === undefined ? "" : `.${field}`;
    switch (source?.from) {
      case "constant":
        return typeof source.value === "string" ? this.text(scope, source.value, task) : pythonValue(source.value);
      case "input":
        return source.name + part;
      case "task":
        return this.output(source.scope, source.task, source.output) + part;
      case "item":
        return `${identifier(source.loop)}_item${part}`;
      default:
        throw new EditError(`where ${JSON.stringify(input)} comes from can't be written as Python`);
    }
  }

  /** A text with what is put into it where it says so. */
  private text(scope: Scope, text: string, task: TaskSpec | undefined): string {
    const parts = text.split(/\{\{\$\.inputs\.parameters\['([^']+)'\]\}\}/);
    if (parts.length === 1) return pythonString(text);
    const written = parts.map((part, index) =>
      index % 2 === 0
        ? pythonString(part, '"').slice(1, -1).replace(/[{}]/g, "$&$&")
        : `{${this.value(scope, task?.inputs?.parameters?.[part] ?? {}, task)}}`,
    );
    return `f"${written.join("")}"`;
  }

  private items(scope: Scope, task: TaskSpec): string {
    const artifacts = task.artifactIterator?.items?.inputArtifact;
    if (artifacts !== undefined) return this.value(scope, task.inputs?.artifacts?.[artifacts] ?? {});
    const { raw, inputParameter } = task.parameterIterator?.items ?? {};
    if (inputParameter === undefined) return pythonValue(JSON.parse(raw ?? "[]") as Json);
    return this.value(scope, task.inputs?.parameters?.[inputParameter] ?? {});
  }

  private condition(scope: Scope, name: string, task: TaskSpec, text: string): string {
    const operand = String.raw`(?:int|double)?\(?inputs\.parameter_values\['[^']+'\]\)?|'(?:[^'\\]|\\.)*'|-?[\d.]+(?:e-?\d+)?|true|false`;
    const match = new RegExp(`^\\s*(${operand})\\s*(==|!=|>=|<=|>|<)\\s*(${operand})\\s*$`).exec(text);
    if (!match) throw new EditError(`the condition of ${name} can't be written as Python: ${text}`);
    const [, left = "", operator = "==", right = ""] = match;
    return `${this.operand(scope, task, left)} ${operator} ${this.operand(scope, task, right)}`;
  }

  private operand(scope: Scope, task: TaskSpec, text: string): string {
    const channel = /inputs\.parameter_values\['([^']+)'\]/.exec(text)?.[1];
    if (channel !== undefined) return this.value(scope, task.inputs?.parameters?.[channel] ?? {}, task);
    if (text.startsWith("'")) return pythonString(text.slice(1, -1).replace(/\\(.)/g, "$1"));
    return text === "true" ? "True" : text === "false" ? "False" : text;
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
      if (!python.source.startsWith(`def ${python.name}(`))
        throw new EditError(`the step of ${reference.replace(/^comp-/, "")} is no plain Python function`);
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
