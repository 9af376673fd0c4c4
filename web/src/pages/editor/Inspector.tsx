import { Plus, Trash2 } from "lucide-react";
import { useId, useState } from "react";
import type { Json } from "../../api/types";
import type { ParameterSpec, PipelineSpec } from "../../graph/spec";
import { useTranslator } from "../../i18n";
import { Button, IconButton } from "../../ui/Button";
import { valueText } from "../../ui/format";
import { errorText } from "../../ui/Notice";
import { parseTyped } from "../../ui/ParameterForm";
import {
  type Comparison,
  candidates,
  changeTask,
  removeTask,
  setCondition,
  setInput,
  setItems,
  setParameter,
} from "./edit";
import { type Port, type Source, sourceOf, tasksIn } from "./ports";
import type { EditorNode } from "./scene";

interface Props {
  spec: PipelineSpec;
  /** None: the pipeline itself. */
  node?: EditorNode;
  onChange(spec: PipelineSpec): void;
  onRemoved(): void;
}

/** What is set of the chosen task, condition or loop, or of the pipeline when nothing is chosen. */
export function Inspector({ spec, node, onChange, onRemoved }: Props) {
  const { t } = useTranslator();
  const [problem, setProblem] = useState<string>();
  /** Makes a change, or shows why it can't be made. */
  function attempt(change: () => PipelineSpec) {
    try {
      onChange(change());
      setProblem(undefined);
    } catch (error) {
      setProblem(errorText(error, t));
    }
  }
  return (
    <aside className="panel editor-panel" aria-label={t("editor.inspector")}>
      {problem !== undefined && (
        <p role="alert" className="problem-text">
          {problem}
        </p>
      )}
      {node ? (
        <>
          <div className="row">
            <h2 className="grow ellipsis">{node.name}</h2>
            <IconButton
              label={t("editor.remove", { name: node.name })}
              onPress={() => {
                onChange(removeTask(spec, node.scope, node.name));
                onRemoved();
              }}
            >
              <Trash2 size={16} aria-hidden />
            </IconButton>
          </div>
          {node.task.triggerPolicy?.condition !== undefined && node.group && (
            <ConditionFields key={node.id} spec={spec} node={node} attempt={attempt} />
          )}
          {node.task.parameterIterator && node.group && (
            <LoopFields key={node.id} spec={spec} node={node} attempt={attempt} />
          )}
          {node.inputs.map((port) => (
            <InputField key={`${node.id} ${port.name}`} spec={spec} node={node} port={port} attempt={attempt} />
          ))}
          <TaskFields key={`task ${node.id}`} spec={spec} node={node} attempt={attempt} />
        </>
      ) : (
        <PipelineFields spec={spec} attempt={attempt} />
      )}
    </aside>
  );
}

type Attempt = (change: () => PipelineSpec) => void;
interface FieldProps {
  spec: PipelineSpec;
  node: EditorNode;
  attempt: Attempt;
}

const keyOf = (source: Source | undefined): string => (source ? JSON.stringify({ ...source, value: undefined }) : "");

/** Where an input's value comes from: typed here, a parameter of the pipeline, or what another task makes. */
function InputField({ spec, node, port, attempt }: FieldProps & { port: Port }) {
  const { t } = useTranslator();
  const id = useId();
  const input = (port.kind === "parameter" ? node.task.inputs?.parameters : node.task.inputs?.artifacts)?.[port.name];
  const source = sourceOf(spec, node.scope, input);
  const options = candidates(spec, node.scope, node.name, port);
  const byDefault = node.component.inputDefinitions?.parameters?.[port.name]?.defaultValue;
  const set = (next: Source | undefined) => attempt(() => setInput(spec, node.scope, node.name, port, next));
  return (
    <div className="field">
      <label htmlFor={id}>
        {port.name}{" "}
        <span className="tag">
          {port.kind === "parameter" ? t(`type.${port.type}` as "type.STRING") : port.type.replace("system.", "")}
        </span>
        {!input && !port.optional && <span className="problem"> · {t("form.required")}</span>}
      </label>
      <select
        id={id}
        value={keyOf(source)}
        onChange={(event) => {
          const value = event.target.value;
          if (value === "") set(undefined);
          else if (value === "constant") set({ from: "constant", value: byDefault ?? firstValue(port.type) });
          else set(options.find((option) => keyOf(option.source) === value)?.source);
        }}
      >
        <option value="">{byDefault === undefined ? "—" : t("editor.default", { value: valueText(byDefault) })}</option>
        {port.kind === "parameter" && source?.from !== "constant" && (
          <option value="constant">{t("editor.constant")}</option>
        )}
        {source?.from === "constant" && <option value={keyOf(source)}>{t("editor.constant")}</option>}
        {source && source.from !== "constant" && !options.some((option) => keyOf(option.source) === keyOf(source)) && (
          <option value={keyOf(source)}>
            {source.from === "task" ? `${source.task}.${source.output}` : source.from}
          </option>
        )}
        {options.map((option) => (
          <option key={keyOf(option.source)} value={keyOf(option.source)}>
            {option.label}
          </option>
        ))}
      </select>
      {source?.from === "constant" && (
        <ValueField
          type={port.type}
          label={t("editor.value", { name: port.name })}
          value={source.value}
          onChange={(value) => set({ from: "constant", value })}
        />
      )}
    </div>
  );
}

const firstValue = (type: string): Json =>
  (({ NUMBER_INTEGER: 0, NUMBER_DOUBLE: 0, BOOLEAN: false, LIST: [], STRUCT: {} }) as { [type: string]: Json })[type] ??
  "";

/** A value that is typed; told of when it is one of its type. */
function ValueField({
  type,
  label,
  value,
  onChange,
}: {
  type: string;
  label: string;
  value: Json;
  onChange(value: Json): void;
}) {
  const { t } = useTranslator();
  const [text, setText] = useState(valueText(value));
  const [problem, setProblem] = useState<string>();
  function change(next: string) {
    setText(next);
    try {
      onChange(parseTyped({ parameterType: type }, next));
      setProblem(undefined);
    } catch (error) {
      setProblem((error as Error).message);
    }
  }
  return (
    <>
      {type === "BOOLEAN" ? (
        <select aria-label={label} value={text} onChange={(event) => change(event.target.value)}>
          <option value="true">true</option>
          <option value="false">false</option>
        </select>
      ) : (
        <input
          aria-label={label}
          aria-invalid={problem !== undefined}
          value={text}
          onChange={(event) => change(event.target.value)}
        />
      )}
      {problem && <span className="problem">{t(`problem.${problem}` as "problem.required")}</span>}
    </>
  );
}

function TaskFields({ spec, node, attempt }: FieldProps) {
  const { t } = useTranslator();
  const id = useId();
  const { task, scope, name } = node;
  const others = Object.keys(tasksIn(spec, scope)).filter((other) => other !== name);
  return (
    <>
      {others.length > 0 && (
        <fieldset className="field">
          <legend>{t("editor.after")}</legend>
          {others.map((other) => (
            <label key={other} className="row">
              <input
                type="checkbox"
                checked={task.dependentTasks?.includes(other) ?? false}
                onChange={(event) =>
                  attempt(() =>
                    changeTask(spec, scope, name, (changed) => {
                      const rest = (changed.dependentTasks ?? []).filter((one) => one !== other);
                      changed.dependentTasks = event.target.checked ? [...rest, other] : rest;
                    }),
                  )
                }
              />
              {other}
            </label>
          ))}
        </fieldset>
      )}
      {!node.group && (
        <>
          <label className="row">
            <input
              type="checkbox"
              checked={task.cachingOptions?.enableCache ?? false}
              onChange={(event) =>
                attempt(() =>
                  changeTask(spec, scope, name, (changed) => {
                    changed.cachingOptions = { enableCache: event.target.checked };
                  }),
                )
              }
            />
            {t("editor.cache")}
          </label>
          <div className="field">
            <label htmlFor={`${id}-retries`}>{t("editor.retries")}</label>
            <input
              id={`${id}-retries`}
              type="number"
              min="0"
              value={task.retryPolicy?.maxRetryCount ?? 0}
              onChange={(event) =>
                attempt(() =>
                  changeTask(spec, scope, name, (changed) => {
                    const count = Math.max(0, Math.floor(Number(event.target.value)));
                    if (count > 0) changed.retryPolicy = { ...changed.retryPolicy, maxRetryCount: count };
                    else delete changed.retryPolicy;
                  }),
                )
              }
            />
          </div>
        </>
      )}
    </>
  );
}

const operators = ["==", "!=", ">", ">=", "<", "<="] as const;

function ConditionFields({ spec, node, attempt }: FieldProps) {
  const { t } = useTranslator();
  const id = useId();
  const options = ["STRING", "NUMBER_INTEGER", "NUMBER_DOUBLE", "BOOLEAN"].flatMap((type) =>
    candidates(spec, node.scope, node.name, { name: "value", kind: "parameter", type }).map((option) => ({
      ...option,
      type,
    })),
  );
  const unique = options.filter(
    (option, at) => options.findIndex((other) => keyOf(other.source) === keyOf(option.source)) === at,
  );
  const [chosen, setChosen] = useState("");
  const [operator, setOperator] = useState<Comparison["operator"]>("==");
  const [text, setText] = useState("");
  const option = unique.find((one) => keyOf(one.source) === chosen);
  function apply() {
    if (!option) return;
    attempt(() => {
      const value = parseTyped({ parameterType: option.type }, text) as string | number | boolean;
      return setCondition(
        spec,
        node.scope,
        node.name,
        { name: "value", kind: "parameter", type: option.type },
        { source: option.source, operator, value },
      );
    });
  }
  return (
    <section className="stack">
      <h3>{t("task.condition")}</h3>
      <pre className="code-block">{node.task.triggerPolicy?.condition}</pre>
      <div className="field">
        <label htmlFor={`${id}-left`}>{t("editor.compare")}</label>
        <select id={`${id}-left`} value={chosen} onChange={(event) => setChosen(event.target.value)}>
          <option value="">—</option>
          {unique.map(({ source, label }) => (
            <option key={keyOf(source)} value={keyOf(source)}>
              {label}
            </option>
          ))}
        </select>
      </div>
      <div className="row">
        <select
          className="input select"
          aria-label={t("editor.operator")}
          value={operator}
          onChange={(event) => setOperator(event.target.value as "==")}
        >
          {operators.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
        <input
          className="input"
          aria-label={t("editor.with")}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <Button isDisabled={!option} onPress={apply}>
          {t("editor.apply")}
        </Button>
      </div>
    </section>
  );
}

const itemTypes = ["STRING", "NUMBER_INTEGER", "NUMBER_DOUBLE", "BOOLEAN", "STRUCT", "LIST"];

function LoopFields({ spec, node, attempt }: FieldProps) {
  const { t } = useTranslator();
  const id = useId();
  const iterator = node.task.parameterIterator;
  const item = iterator?.itemInput ?? "";
  const type = node.component.inputDefinitions?.parameters?.[item]?.parameterType ?? "STRING";
  const raw = iterator?.items?.raw;
  const from = iterator?.items?.inputParameter;
  const source = from === undefined ? undefined : sourceOf(spec, node.scope, node.task.inputs?.parameters?.[from]);
  const options = candidates(spec, node.scope, node.name, { name: "items", kind: "parameter", type: "LIST" });
  const [text, setText] = useState(raw ?? "[]");
  function setRaw(next: string) {
    setText(next);
    try {
      const items = parseTyped({ parameterType: "LIST" }, next) as Json[];
      attempt(() => setItems(spec, node.scope, node.name, items, typeOfItems(items)));
    } catch {
      // Not a list yet: it is still being typed.
    }
  }
  return (
    <section className="stack">
      <div className="field">
        <label htmlFor={`${id}-items`}>{t("editor.items")}</label>
        <select
          id={`${id}-items`}
          value={keyOf(source)}
          onChange={(event) => {
            const option = options.find((one) => keyOf(one.source) === event.target.value);
            attempt(() => setItems(spec, node.scope, node.name, option?.source ?? [], type));
          }}
        >
          <option value="">{t("editor.constant")}</option>
          {options.map((option) => (
            <option key={keyOf(option.source)} value={keyOf(option.source)}>
              {option.label}
            </option>
          ))}
        </select>
        {from === undefined && (
          <textarea aria-label={t("editor.itemsText")} value={text} onChange={(event) => setRaw(event.target.value)} />
        )}
      </div>
      {from !== undefined && (
        <div className="field">
          <label htmlFor={`${id}-type`}>{t("editor.itemType")}</label>
          <select
            id={`${id}-type`}
            value={type}
            onChange={(event) =>
              source && attempt(() => setItems(spec, node.scope, node.name, source, event.target.value))
            }
          >
            {itemTypes.map((one) => (
              <option key={one} value={one}>
                {t(`type.${one}` as "type.STRING")}
              </option>
            ))}
          </select>
        </div>
      )}
      <div className="field">
        <label htmlFor={`${id}-limit`}>{t("editor.parallelism")}</label>
        <input
          id={`${id}-limit`}
          type="number"
          min="0"
          value={node.task.iteratorPolicy?.parallelismLimit ?? 0}
          onChange={(event) =>
            attempt(() =>
              changeTask(spec, node.scope, node.name, (task) => {
                const limit = Math.max(0, Math.floor(Number(event.target.value)));
                if (limit > 0) task.iteratorPolicy = { parallelismLimit: limit };
                else delete task.iteratorPolicy;
              }),
            )
          }
        />
      </div>
    </section>
  );
}

function typeOfItems(items: Json[]): string {
  const types = new Set(
    items.map((item) => {
      if (typeof item === "number") return Number.isInteger(item) ? "NUMBER_INTEGER" : "NUMBER_DOUBLE";
      if (typeof item === "boolean") return "BOOLEAN";
      if (Array.isArray(item)) return "LIST";
      return typeof item === "object" && item !== null ? "STRUCT" : "STRING";
    }),
  );
  if (types.size === 2 && types.has("NUMBER_INTEGER") && types.has("NUMBER_DOUBLE")) return "NUMBER_DOUBLE";
  return types.size === 1 ? ([...types][0] as string) : "STRING";
}

function PipelineFields({ spec, attempt }: { spec: PipelineSpec; attempt: Attempt }) {
  const { t } = useTranslator();
  const id = useId();
  const [name, setName] = useState("");
  const [type, setType] = useState("STRING");
  const [byDefault, setDefault] = useState("");
  const parameters = Object.entries(spec.root.inputDefinitions?.parameters ?? {});
  function add() {
    attempt(() => {
      if (!/^[A-Za-z_]\w*$/.test(name)) throw new Error(t("editor.badName"));
      const parameter: ParameterSpec = { parameterType: type };
      if (byDefault !== "") {
        try {
          parameter.defaultValue = parseTyped(parameter, byDefault);
        } catch (error) {
          throw new Error(t(`problem.${(error as Error).message}` as "problem.required"));
        }
        parameter.isOptional = true;
      }
      setName("");
      setDefault("");
      return setParameter(spec, name, parameter);
    });
  }
  const info = (change: { name?: string; description?: string }) =>
    attempt(() => ({ ...spec, pipelineInfo: { ...spec.pipelineInfo, ...change } }));
  return (
    <>
      <h2>{t("pipeline.title")}</h2>
      <div className="field">
        <label htmlFor={`${id}-name`}>{t("field.name")}</label>
        <input
          id={`${id}-name`}
          value={spec.pipelineInfo?.name ?? ""}
          onChange={(event) => info({ name: event.target.value })}
        />
      </div>
      <div className="field">
        <label htmlFor={`${id}-description`}>{t("field.description")}</label>
        <input
          id={`${id}-description`}
          value={spec.pipelineInfo?.description ?? ""}
          onChange={(event) => info({ description: event.target.value || undefined })}
        />
      </div>
      <h3>{t("field.parameters")}</h3>
      {parameters.map(([parameter, { parameterType, defaultValue }]) => (
        <div key={parameter} className="row">
          <span className="grow ellipsis">
            {parameter} <span className="tag">{t(`type.${parameterType ?? "STRING"}` as "type.STRING")}</span>
            {defaultValue !== undefined && <code> = {valueText(defaultValue)}</code>}
          </span>
          <IconButton
            label={t("editor.remove", { name: parameter })}
            small
            onPress={() => attempt(() => setParameter(spec, parameter, undefined))}
          >
            <Trash2 size={14} aria-hidden />
          </IconButton>
        </div>
      ))}
      <div className="field">
        <label htmlFor={`${id}-parameter`}>{t("editor.newParameter")}</label>
        <input id={`${id}-parameter`} value={name} onChange={(event) => setName(event.target.value)} />
      </div>
      <div className="row">
        <select
          className="input select"
          aria-label={t("artifact.type")}
          value={type}
          onChange={(event) => setType(event.target.value)}
        >
          {itemTypes.map((one) => (
            <option key={one} value={one}>
              {t(`type.${one}` as "type.STRING")}
            </option>
          ))}
        </select>
        <input
          className="input"
          aria-label={t("editor.defaultValue")}
          placeholder={t("editor.defaultValue")}
          value={byDefault}
          onChange={(event) => setDefault(event.target.value)}
        />
        <IconButton label={t("editor.addParameter")} onPress={add}>
          <Plus size={16} aria-hidden />
        </IconButton>
      </div>
    </>
  );
}
