import { useId } from "react";
import type { Json, JsonObject } from "../api/types";
import type { ParameterSpec } from "../graph/spec";
import { useTranslator } from "../i18n";

/** What a form holds of each parameter: its text as typed, or undefined for the default. */
export type Typed = { [name: string]: string | undefined };

export const typeOf = (spec: ParameterSpec): string => {
  const older: { [type: string]: string } = { INT: "NUMBER_INTEGER", DOUBLE: "NUMBER_DOUBLE" };
  const type = spec.parameterType ?? spec.type ?? "STRING";
  return older[type] ?? type;
};

/** The text of a value as its input shows it. */
export function typedText(value: Json | undefined): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value;
  return typeof value === "object" ? JSON.stringify(value, null, 2) : String(value);
}

/** The value that the text stands for; throws an Error with the reason when it stands for none of that type. */
export function parseTyped(spec: ParameterSpec, text: string): Json {
  const type = typeOf(spec);
  switch (type) {
    case "NUMBER_INTEGER":
      if (!/^\s*[-+]?\d+\s*$/.test(text)) throw new Error("integer");
      return Number(text);
    case "NUMBER_DOUBLE": {
      const value = Number(text);
      if (text.trim() === "" || !Number.isFinite(value)) throw new Error("number");
      return value;
    }
    case "BOOLEAN":
      return text === "true";
    case "LIST":
    case "STRUCT": {
      let value: Json;
      try {
        value = JSON.parse(text) as Json;
      } catch {
        throw new Error("json");
      }
      const isList = Array.isArray(value);
      if (type === "LIST" ? !isList : isList || typeof value !== "object" || value === null)
        throw new Error(type === "LIST" ? "list" : "struct");
      return value;
    }
    default:
      return text;
  }
}

export interface Checked {
  /** What is sent: the parameters that were given. */
  values: JsonObject;
  problems: { [name: string]: string };
}

export function check(specs: { [name: string]: ParameterSpec }, typed: Typed): Checked {
  const values: JsonObject = {};
  const problems: { [name: string]: string } = {};
  for (const [name, spec] of Object.entries(specs)) {
    const text = typed[name];
    if (text === undefined) {
      if (spec.defaultValue === undefined && !spec.isOptional) problems[name] = "required";
      continue;
    }
    try {
      values[name] = parseTyped(spec, text);
    } catch (error) {
      problems[name] = (error as Error).message;
    }
  }
  return { values, problems };
}

interface Props {
  specs: { [name: string]: ParameterSpec };
  typed: Typed;
  problems: { [name: string]: string };
  onChange(typed: Typed): void;
}

/** An input for each parameter after its type: text, number, a choice of literals, true or false, JSON. */
export function ParameterForm({ specs, typed, problems, onChange }: Props) {
  const { t } = useTranslator();
  const id = useId();
  const names = Object.keys(specs).sort();
  if (names.length === 0) return <p className="muted">{t("run.noParameters")}</p>;
  return (
    <div className="stack">
      {names.map((name) => {
        const spec = specs[name] as ParameterSpec;
        const type = typeOf(spec);
        const text = typed[name] ?? typedText(spec.defaultValue) ?? "";
        const set = (value: string) =>
          onChange({ ...typed, [name]: value === (typedText(spec.defaultValue) ?? "") ? undefined : value });
        const problem = problems[name];
        const common = {
          id: `${id}-${name}`,
          "aria-invalid": problem !== undefined,
          "aria-describedby": `${id}-${name}-help`,
        };
        const required = spec.defaultValue === undefined && !spec.isOptional;
        return (
          <div key={name} className="field">
            <label htmlFor={common.id}>
              {name} <span className="tag">{t(`type.${type}` as "type.STRING")}</span>
              {required && <span className="muted"> · {t("form.required")}</span>}
            </label>
            {spec.literals ? (
              <select {...common} value={text} onChange={(event) => set(event.target.value)}>
                {required && text === "" && <option value="" />}
                {spec.literals.map((literal) => {
                  const shown = typedText(literal) ?? "";
                  return (
                    <option key={shown} value={shown}>
                      {shown}
                    </option>
                  );
                })}
              </select>
            ) : type === "BOOLEAN" ? (
              <select {...common} value={text} onChange={(event) => set(event.target.value)}>
                {text === "" && <option value="" />}
                <option value="true">true</option>
                <option value="false">false</option>
              </select>
            ) : type === "LIST" || type === "STRUCT" ? (
              <textarea {...common} value={text} spellCheck={false} onChange={(event) => set(event.target.value)} />
            ) : type === "STRING" && text.includes("\n") ? (
              <textarea {...common} value={text} onChange={(event) => set(event.target.value)} />
            ) : (
              <input
                {...common}
                inputMode={type === "NUMBER_INTEGER" ? "numeric" : type === "NUMBER_DOUBLE" ? "decimal" : undefined}
                value={text}
                onChange={(event) => set(event.target.value)}
              />
            )}
            <span className="help" id={`${id}-${name}-help`}>
              {problem !== undefined ? (
                <span className="problem">{t(`problem.${problem}` as "problem.required")}</span>
              ) : (
                spec.description
              )}
            </span>
          </div>
        );
      })}
    </div>
  );
}
