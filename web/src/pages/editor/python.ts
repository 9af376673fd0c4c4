import type { Json } from "../../api/types";
import type { ComponentSpec, ExecutorSpec, ParameterSpec } from "../../graph/spec";
import type { Component } from "./edit";

// A component of a Python function, as the kfp package makes one: its interface is the function's signature. The reader
// knows signatures of the types that components have, and says what it doesn't understand.

export class PythonError extends Error {}

const parameterTypes: { [annotation: string]: string } = {
  str: "STRING",
  int: "NUMBER_INTEGER",
  float: "NUMBER_DOUBLE",
  bool: "BOOLEAN",
  list: "LIST",
  List: "LIST",
  dict: "STRUCT",
  Dict: "STRUCT",
  Mapping: "STRUCT",
  Sequence: "LIST",
};
const artifactTypes = [
  "Artifact",
  "Dataset",
  "Model",
  "Metrics",
  "ClassificationMetrics",
  "SlicedClassificationMetrics",
  "HTML",
  "Markdown",
];

/** The last part of a dotted name: of `dsl.Dataset` Dataset. */
const bare = (name: string) => name.trim().replace(/^.*\./, "");

/** Calls `visit` with each letter that is in no quotes and no comment, and how deep in brackets it is, until it says true. */
function scan(text: string, from: number, visit: (letter: string, at: number, depth: number) => boolean): void {
  let depth = 0;
  let quote = "";
  for (let at = from; at < text.length; at++) {
    const letter = text[at] as string;
    if (quote) {
      if (letter === "\\") at++;
      else if (text.startsWith(quote, at)) {
        at += quote.length - 1;
        quote = "";
      }
    } else if (letter === '"' || letter === "'") {
      quote = text.startsWith(letter.repeat(3), at) ? letter.repeat(3) : letter;
      at += quote.length - 1;
    } else if (letter === "#") {
      while (at + 1 < text.length && text[at + 1] !== "\n") at++;
    } else {
      if (")]}".includes(letter)) depth--;
      if (visit(letter, at, depth)) return;
      if ("([{".includes(letter)) depth++;
    }
  }
}

/** The text without its comments. */
function withoutComments(text: string): string {
  let out = "";
  let quote = "";
  for (let at = 0; at < text.length; at++) {
    const letter = text[at] as string;
    if (!quote && letter === "#") while (at + 1 < text.length && text[at + 1] !== "\n") at++;
    else {
      out += letter;
      if (quote && letter === "\\") out += text[++at] ?? "";
      else if (quote === letter) quote = "";
      else if (!quote && (letter === '"' || letter === "'")) quote = letter;
    }
  }
  return out;
}

/** Splits at commas that are in no brackets, quotes and comments. */
export function splitTop(text: string, separator = ","): string[] {
  const plain = withoutComments(text);
  const parts: string[] = [];
  let from = 0;
  scan(plain, 0, (letter, at, depth) => {
    if (letter === separator && depth === 0) {
      parts.push(plain.slice(from, at));
      from = at + 1;
    }
    return false;
  });
  parts.push(plain.slice(from));
  return parts.map((part) => part.trim()).filter((part) => part !== "");
}

function unescaped(text: string): string {
  const escapes: { [letter: string]: string } = { n: "\n", t: "\t", r: "\r", "\\": "\\", "'": "'", '"': '"', "\n": "" };
  return text.replace(
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|([\s\S]))/g,
    (whole, x?: string, u?: string, one?: string) =>
      one === undefined ? String.fromCharCode(Number.parseInt(x ?? u ?? "", 16)) : (escapes[one] ?? whole),
  );
}

/** A Python literal as JSON: texts, numbers, True, False, None, lists and dicts of such. */
export function literal(text: string): Json {
  const value = text.trim();
  if (value === "True") return true;
  if (value === "False") return false;
  if (value === "None") return null;
  if (/^[-+]?(\d[\d_]*\.?[\d_]*([eE][-+]?\d+)?|\.\d+)$/.test(value)) return Number(value.replace(/_/g, ""));
  const quoted = /^(?:'((?:[^'\\\n]|\\[\s\S])*)'|"((?:[^"\\\n]|\\[\s\S])*)")$/.exec(value);
  if (quoted) return unescaped(quoted[1] ?? quoted[2] ?? "");
  if (value.startsWith("[") && value.endsWith("]")) return splitTop(value.slice(1, -1)).map(literal);
  if (value.startsWith("{") && value.endsWith("}"))
    return Object.fromEntries(
      splitTop(value.slice(1, -1)).map((pair) => {
        const [key, ...rest] = splitTop(pair, ":");
        return [String(literal(key ?? "")), literal(rest.join(":"))];
      }),
    );
  throw new PythonError(`the default ${value} is no plain value`);
}

interface Annotated {
  kind: "parameter" | "input" | "output" | "inputPath" | "outputPath" | "status";
  type: string;
  optional?: boolean;
  list?: boolean;
  /** The only values that it may have. */
  literals?: Json[];
}

function annotation(text: string): Annotated {
  const whole = text.trim().replace(/^(['"])(.*)\1$/, "$2");
  const match = /^([\w.]+)\s*(?:\[([\s\S]*)\]|\(([\s\S]*)\))?$/.exec(whole);
  if (!match) throw new PythonError(`the annotation ${whole} is not understood`);
  const [, name = "", inside, called] = match;
  const base = bare(name);
  if (base === "Optional") return { ...annotation(inside ?? "str"), optional: true };
  if (base === "Annotated") return annotation(splitTop(inside ?? "")[0] ?? "str");
  if (base === "Input" || base === "Output") {
    const list = /^(?:typing\.)?[Ll]ist\s*\[([\s\S]*)\]$/.exec((inside ?? "").trim());
    const type = artifact(list?.[1] ?? inside ?? "Artifact");
    return { kind: base === "Input" ? "input" : "output", type, list: !!list };
  }
  if (base === "InputPath" || base === "OutputPath") {
    const of = (called ?? inside ?? "").trim().replace(/^(['"])(.*)\1$/, "$2");
    const kind = base === "InputPath" ? "inputPath" : "outputPath";
    return { kind, type: parameterTypes[bare(of)] ?? (of === "" ? "system.Artifact" : artifact(of)) };
  }
  if (base === "PipelineTaskFinalStatus") return { kind: "status", type: "TASK_FINAL_STATUS" };
  if (artifactTypes.includes(base)) return { kind: "input", type: `system.${base}` };
  if (base === "Literal") return literals(splitTop(inside ?? "").map(literal), whole);
  const item = bare(inside ?? "");
  if (/^list$/i.test(base) && artifactTypes.includes(item))
    return { kind: "input", type: `system.${item}`, list: true };
  const type = parameterTypes[base];
  if (!type) throw new PythonError(`components have no type ${whole}`);
  return { kind: "parameter", type };
}

function literals(values: Json[], whole: string): Annotated {
  const [first] = values;
  const types: { [type: string]: string } = { string: "STRING", boolean: "BOOLEAN", number: "NUMBER_INTEGER" };
  const type = types[typeof first];
  if (!type || values.some((value) => typeof value !== typeof first))
    throw new PythonError(`the values of ${whole} are not of one type`);
  return { kind: "parameter", type, literals: values };
}

function artifact(text: string): string {
  const name = bare(text.replace(/^(['"])(.*)\1$/, "$2"));
  if (!artifactTypes.includes(name)) throw new PythonError(`there is no artifact type ${name}`);
  return `system.${name}`;
}

const artifactSpec = (title: string, list?: boolean) => ({
  artifactType: { schemaTitle: title, schemaVersion: "0.0.1" },
  ...(list && { isArtifactList: true }),
});

interface Parsed {
  name: string;
  source: string;
  description?: string;
  packages: string[];
  image?: string;
  spec: ComponentSpec;
}

/** Reads the first function of the text. */
export function parseFunction(text: string): Parsed {
  const source = text.replace(/\r\n/g, "\n").replace(/\t/g, "    ");
  const start = /^[ ]*def[ ]+([A-Za-z_]\w*)[ ]*\(/m.exec(source);
  if (!start) throw new PythonError("there is no function: it begins with def name(");
  const open = start.index + start[0].length - 1;
  const close = closing(source, open);
  const after = /^\s*(?:->\s*([\s\S]*?))?\s*:\s*(?:#[^\n]*)?(?:\n|$)/.exec(returnPart(source.slice(close + 1)));
  if (!after) throw new PythonError("the function's head has no end: a colon");
  const name = start[1] as string;
  const decorators = source.slice(0, start.index);
  const indent = (start[0].match(/^ */) as RegExpMatchArray)[0].length;
  const outdented = source
    .slice(start.index)
    .split("\n")
    .map((line) => (indent > 0 && line.slice(0, indent).trim() === "" ? line.slice(indent) : line))
    .join("\n");
  const end = closing(outdented, outdented.indexOf("(")) + 1;
  const body = outdented.slice(0, bodyEnd(outdented, end + headLength(outdented.slice(end))));
  const spec = interfaceOf(source.slice(open + 1, close), after[1]?.trim());
  const doc = /^\s*(?:"""|''')\s*([^\n"']+)/.exec(source.slice(close + 1 + headLength(source.slice(close + 1))));
  const packages = /packages_to_install\s*=\s*(\[[\s\S]*?\])/.exec(decorators);
  const image = /base_image\s*=\s*(['"])(.*?)\1/.exec(decorators);
  return {
    name,
    source: body.trimEnd(),
    description: doc?.[1]?.trim(),
    packages: packages ? (literal(packages[1] as string) as string[]) : [],
    image: image?.[2],
    spec,
  };
}

function returnPart(text: string): string {
  return text.slice(0, headLength(text));
}

/** How long the head goes on after the parameters: to the colon that is in no brackets and its line's end. */
function headLength(text: string): number {
  let length = text.length;
  scan(text, 0, (letter, at, depth) => {
    if (letter !== ":" || depth !== 0) return false;
    const end = text.indexOf("\n", at);
    length = end < 0 ? text.length : end + 1;
    return true;
  });
  return length;
}

function closing(text: string, open: number): number {
  let found = -1;
  scan(text, open, (letter, at, depth) => {
    if (letter === ")" && depth === 0) found = at;
    return found >= 0;
  });
  if (found < 0) throw new PythonError("a bracket of the function's head is not closed");
  return found;
}

/** Where the function's body ends: before the first line after its head that is not indented, and no text or comment. */
function bodyEnd(text: string, head: number): number {
  let end = text.length;
  scan(text, head, (letter, at, depth) => {
    if (depth !== 0 || /\s/.test(letter) || (at > head && text[at - 1] !== "\n")) return false;
    end = at;
    return true;
  });
  return end;
}

function interfaceOf(parameters: string, returns: string | undefined): ComponentSpec {
  const inputs: NonNullable<ComponentSpec["inputDefinitions"]> = { parameters: {}, artifacts: {} };
  const outputs: NonNullable<ComponentSpec["outputDefinitions"]> = { parameters: {}, artifacts: {} };
  for (const part of splitTop(parameters)) {
    if (part === "*" || part === "/") continue;
    if (part.startsWith("*")) throw new PythonError(`a component can't take ${part}`);
    const [head, ...rest] = splitTop(part, "=");
    const [name = "", ...annotated] = splitTop(head ?? "", ":");
    if (annotated.length === 0) throw new PythonError(`${name} needs a type: ${name}: str`);
    const { kind, type, optional, list, literals: only } = annotation(annotated.join(":"));
    const byDefault = rest.length > 0 ? literal(rest.join("=")) : undefined;
    if (kind === "output" || kind === "outputPath") {
      if (type.startsWith("system.")) outputs.artifacts = { ...outputs.artifacts, [name]: artifactSpec(type, list) };
      else outputs.parameters = { ...outputs.parameters, [name]: { parameterType: type } };
    } else if (type.startsWith("system.")) {
      const given = artifactSpec(type, list);
      inputs.artifacts = {
        ...inputs.artifacts,
        [name]: optional || byDefault === null ? { ...given, isOptional: true } : given,
      };
    } else {
      const parameter: ParameterSpec = { parameterType: type };
      if (only) parameter.literals = only;
      if (byDefault !== undefined && byDefault !== null) parameter.defaultValue = byDefault;
      if (byDefault !== undefined || optional || kind === "status") parameter.isOptional = true;
      inputs.parameters = { ...inputs.parameters, [name]: parameter };
    }
  }
  if (returns && returns !== "None") addReturns(outputs, returns);
  const spec: ComponentSpec = {};
  if (Object.keys(inputs.parameters ?? {}).length + Object.keys(inputs.artifacts ?? {}).length > 0)
    spec.inputDefinitions = inputs;
  if (Object.keys(outputs.parameters ?? {}).length + Object.keys(outputs.artifacts ?? {}).length > 0)
    spec.outputDefinitions = outputs;
  for (const side of [spec.inputDefinitions, spec.outputDefinitions])
    for (const field of ["parameters", "artifacts"] as const)
      if (side && Object.keys(side[field] ?? {}).length === 0) delete side[field];
  return spec;
}

function addReturns(outputs: NonNullable<ComponentSpec["outputDefinitions"]>, returns: string): void {
  const named = /^(?:typing\.)?NamedTuple\s*\(([\s\S]*)\)$/.exec(returns);
  if (!named) {
    addOutput(outputs, "Output", returns);
    return;
  }
  const [, ...fields] = splitTop(named[1] as string);
  const pairs = fields.flatMap((field) =>
    field.includes("=") && !field.startsWith("[")
      ? [splitTop(field, "=")]
      : splitTop(field.slice(1, -1)).map((pair) => splitTop(pair.slice(1, -1))),
  );
  for (const [quoted = "", annotated = "str"] of pairs) addOutput(outputs, quoted.replace(/['"]/g, ""), annotated);
}

function addOutput(outputs: NonNullable<ComponentSpec["outputDefinitions"]>, name: string, annotated: string): void {
  const { type, list } = annotation(annotated);
  if (type.startsWith("system.")) outputs.artifacts = { ...outputs.artifacts, [name]: artifactSpec(type, list) };
  else outputs.parameters = { ...outputs.parameters, [name]: { parameterType: type } };
}

/** The component of a function. `like` is the executor of any Python component: how the step begins is taken from it. */
export function pythonComponent(text: string, like: ExecutorSpec): Component {
  const { name, source, packages, image, spec } = parseFunction(text);
  const command = [...(like.container?.command ?? [])];
  if (command.length < 2) throw new PythonError("the server has no Python component to begin from");
  command[command.length - 1] =
    `\nimport kfp\nfrom kfp import dsl\nfrom kfp.dsl import *\nfrom typing import *\n\n${source}\n\n`;
  if (packages.length > 0) {
    const quoted = packages.map((one) => `'${one.replace(/'/g, "'\\''")}'`).join(" ");
    const install = "python3 -m pip install --quiet --no-warn-script-location";
    const at = command.findIndex((part) => part.includes(install));
    if (at >= 0) command[at] = (command[at] as string).replace(install, () => `${install} ${quoted}  &&  ${install}`);
  }
  return {
    name: name.replace(/_/g, "-"),
    spec,
    executor: {
      container: {
        image: image ?? like.container?.image ?? "python:3.11",
        command,
        args: ["--executor_input", "{{$}}", "--function_to_execute", name],
      },
    },
  };
}

/** The source of a Python component, out of its command; undefined when it is none. */
export function sourceOfComponent(
  executor: ExecutorSpec | undefined,
): { source: string; name: string; packages: string[] } | undefined {
  const args = executor?.container?.args ?? [];
  const at = args.indexOf("--function_to_execute");
  const name = args[at + 1];
  const whole = executor?.container?.command?.at(-1);
  if (at < 0 || name === undefined || whole === undefined) return undefined;
  const source = whole.replace(/^[\s\S]*?(?=^(?:async )?def |^class |^@)/m, "").trimEnd();
  const install = executor?.container?.command?.find((part) => part.includes("pip install")) ?? "";
  const packages = [...install.matchAll(/--no-warn-script-location ((?:'[^']*' ?)+)/g)]
    .flatMap(([, list]) => [...(list ?? "").matchAll(/'([^']*)'/g)].map(([, one]) => one as string))
    .filter((one) => !/^(kfp==|--no-deps|typing-extensions)/.test(one));
  return { source, name, packages };
}
