import { useQueryClient } from "@tanstack/react-query";
import { RotateCcw, X } from "lucide-react";
import { useState } from "react";
import { retryFrom } from "../../api/runs";
import type { IoArtifact, IoParameter, Run, Task } from "../../api/types";
import { componentOf, executorOf, type PipelineSpec, type TaskSpec } from "../../graph/spec";
import { useTranslator } from "../../i18n";
import { Button, IconButton } from "../../ui/Button";
import { duration, elapsed, valueText } from "../../ui/format";
import { LogView } from "../../ui/LogView";
import { errorText } from "../../ui/Notice";
import { Select } from "../../ui/Select";
import { isFinal, StateBadge } from "../../ui/StateBadge";
import { Tabs } from "../../ui/Tabs";
import { toast } from "../../ui/toasts";
import { ArtifactCard } from "../artifacts/ArtifactCard";
import { PodPanel } from "./PodPanel";
import "./panel.css";

interface Props {
  run: Run;
  task: Task;
  spec?: PipelineSpec;
  onClose(): void;
}

/** All about one task, beside the graph: what it got and made, its log, its attempts, its pod, and why it was or wasn't run. */
export function TaskPanel({ run, task, spec, onClose }: Props) {
  const { t } = useTranslator();
  const [tab, setTab] = useState("io");
  const name = task.display_name ?? task.name;
  const hasLog = task.type === "RUNTIME" && task.state !== "SKIPPED";
  const tabs = [
    { id: "io", label: t("task.io"), content: () => <InputsOutputs task={task} /> },
    ...(hasLog
      ? [{ id: "log", label: t("task.log"), flush: true, content: () => <TaskLog run={run} task={task} /> }]
      : []),
    { id: "details", label: t("task.details"), content: () => <TaskFacts task={task} spec={spec} /> },
    ...(task.pods?.length
      ? [{ id: "pod", label: t("task.pod"), content: () => <PodPanel run={run} task={task} /> }]
      : []),
  ];
  return (
    <aside className="panel" aria-label={t("task.panel", { name })}>
      <div className="row">
        <h2 className="grow ellipsis" title={name}>
          {name}
        </h2>
        <IconButton label={t("action.close")} onPress={onClose}>
          <X size={16} aria-hidden />
        </IconButton>
      </div>
      <div className="row wrap">
        <StateBadge state={task.state} />
        <TaskTimes task={task} />
        <span className="grow" />
        {isFinal(run.state) && task.type !== "ROOT" && <RetryFrom task={task} />}
      </div>
      {task.status_metadata?.message && (
        <div className={task.state === "FAILED" ? "notice failed" : "notice"}>
          <pre className="grow">{task.status_metadata.message}</pre>
        </div>
      )}
      <Tabs label={t("task.views")} tabs={tabs} selected={tab} onSelect={setTab} />
    </aside>
  );
}

/** Does the run again from this task on: it and what comes after it, whatever they gave before. */
function RetryFrom({ task }: { task: Task }) {
  const { t } = useTranslator();
  const queries = useQueryClient();
  const [busy, setBusy] = useState(false);
  async function retry() {
    setBusy(true);
    try {
      await retryFrom(task.run_id, task.task_id);
      await queries.invalidateQueries({ queryKey: ["run"] });
    } catch (error) {
      toast(errorText(error, t), true);
    }
    setBusy(false);
  }
  return (
    <Button small isDisabled={busy} onPress={retry}>
      <RotateCcw size={13} aria-hidden />
      {t("task.retryFrom")}
    </Button>
  );
}

function TaskTimes({ task }: { task: Task }) {
  const { t } = useTranslator();
  const ran = elapsed(task.start_time, task.end_time);
  const waited = elapsed(task.create_time, task.start_time ?? task.end_time);
  return (
    <span className="muted">
      {ran !== undefined && t("task.ran", { time: duration(ran) })}
      {waited !== undefined && waited > 0 && ` · ${t("task.waited", { time: duration(waited) })}`}
    </span>
  );
}

function InputsOutputs({ task }: { task: Task }) {
  const { t } = useTranslator();
  return (
    <div className="stack">
      <Side title={t("field.inputs")} parameters={task.inputs?.parameters} artifacts={task.inputs?.artifacts} />
      <Side title={t("field.outputs")} parameters={task.outputs?.parameters} artifacts={task.outputs?.artifacts} />
    </div>
  );
}

function Side({
  title,
  parameters = [],
  artifacts = [],
}: {
  title: string;
  parameters?: IoParameter[];
  artifacts?: IoArtifact[];
}) {
  const { t } = useTranslator();
  return (
    <section className="stack">
      <h3>{title}</h3>
      {parameters.length + artifacts.length === 0 && <p className="muted">{t("task.nothing")}</p>}
      {parameters.length > 0 && (
        <dl className="facts">
          {parameters.map(({ parameter_key, value, producer }) => (
            <div key={parameter_key} style={{ display: "contents" }}>
              <dt title={producer?.task_name}>{parameter_key}</dt>
              <dd>
                <pre>{valueText(value)}</pre>
              </dd>
            </div>
          ))}
        </dl>
      )}
      {artifacts.flatMap(({ artifact_key, artifacts: list = [] }) =>
        list.map((artifact) => (
          <ArtifactCard key={`${artifact_key} ${artifact.artifact_id}`} name={artifact_key} artifact={artifact} />
        )),
      )}
    </section>
  );
}

function TaskLog({ run, task }: { run: Run; task: Task }) {
  const { t } = useTranslator();
  const attempts = Math.max(1, attemptsOf(task));
  const [attempt, setAttempt] = useState<number>();
  const shown = attempt ?? attempts - 1;
  const path = `/apis/v1alpha1/runs/${encodeURIComponent(run.run_id)}/nodes/${encodeURIComponent(task.task_id)}/log`;
  const last = shown === attempts - 1;
  return (
    <>
      {attempts > 1 && (
        <div className="toolbar" style={{ paddingBottom: 8 }}>
          <Select
            label={t("task.attempt")}
            value={String(shown)}
            onChange={(value) => setAttempt(Number(value))}
            options={Array.from({ length: attempts }, (_, index) => ({
              id: String(index),
              label: t("task.attemptN", { number: index + 1 }),
            }))}
          />
        </div>
      )}
      <LogView
        path={last ? path : `${path}?attempt=${shown}`}
        follow={last && !isFinal(task.state)}
        fileName={`${task.name}-${shown + 1}.log`}
      />
    </>
  );
}

/** How often it was tried: each attempt has a pod of its own. */
const attemptsOf = (task: Task): number => task.pods?.filter((pod) => pod.type !== "DRIVER").length ?? 0;

function TaskFacts({ task, spec }: { task: Task; spec?: PipelineSpec }) {
  const { t, time } = useTranslator();
  const taskSpec = spec && findTask(spec, task.name);
  const executor = spec && taskSpec && executorOf(spec, componentOf(spec, taskSpec));
  const cache = task.status_metadata?.custom_properties?.cache;
  const others = Object.entries(task.status_metadata?.custom_properties ?? {}).filter(([key]) => key !== "cache");
  return (
    <div className="stack">
      <dl className="facts">
        <dt>{t("field.id")}</dt>
        <dd className="mono">{task.task_id}</dd>
        <dt>{t("task.path")}</dt>
        <dd className="mono">{task.scope_path}</dd>
        <dt>{t("field.created")}</dt>
        <dd>{time(task.create_time)}</dd>
        <dt>{t("field.started")}</dt>
        <dd>{time(task.start_time)}</dd>
        <dt>{t("field.finished")}</dt>
        <dd>{time(task.end_time)}</dd>
        {cache !== undefined && (
          <>
            <dt>{t("task.cache")}</dt>
            <dd>{valueText(cache)}</dd>
          </>
        )}
        {others.map(([key, value]) => (
          <div key={key} style={{ display: "contents" }}>
            <dt>{key}</dt>
            <dd>{valueText(value)}</dd>
          </div>
        ))}
        {taskSpec?.triggerPolicy?.condition && (
          <>
            <dt>{t("task.condition")}</dt>
            <dd className="mono">{taskSpec.triggerPolicy.condition}</dd>
          </>
        )}
        {executor?.container?.image && (
          <>
            <dt>{t("task.image")}</dt>
            <dd className="mono">{executor.container.image}</dd>
          </>
        )}
        {executor?.container?.resources && (
          <>
            <dt>{t("task.resources")}</dt>
            <dd className="mono">{valueText(executor.container.resources)}</dd>
          </>
        )}
      </dl>
      {task.state_history && (
        <section className="stack">
          <h3>{t("run.history")}</h3>
          {task.state_history.map(({ update_time, state, error }) => (
            <div key={`${update_time} ${state}`}>
              <div className="row">
                <StateBadge state={state} />
                <span className="muted">{time(update_time)}</span>
              </div>
              {error?.message && <pre className="code-block">{error.message}</pre>}
            </div>
          ))}
        </section>
      )}
      {executor?.container?.command && (
        <section className="stack">
          <h3>{t("task.command")}</h3>
          <pre className="code-block">
            {[...executor.container.command, ...(executor.container.args ?? [])].join("\n")}
          </pre>
        </section>
      )}
    </div>
  );
}

function findTask(spec: PipelineSpec, name: string): TaskSpec | undefined {
  for (const component of [spec.root, ...Object.values(spec.components ?? {})]) {
    const found = component.dag?.tasks?.[name];
    if (found) return found;
  }
  return undefined;
}
