import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Archive, ArchiveRestore, Copy, RotateCcw, Square, Trash2 } from "lucide-react";
import { useMemo, useState } from "react";
import { useNavigate, useParams } from "react-router";
import { runQuery, versionQuery } from "../../api/queries";
import { deleteRun, type RunAction, runAction } from "../../api/runs";
import type { Run, Task } from "../../api/types";
import { GraphView } from "../../graph/GraphView";
import { shownSpecOf } from "../../graph/workflow";
import { useTranslator } from "../../i18n";
import { Button, LinkButton } from "../../ui/Button";
import { ConfirmDialog } from "../../ui/Dialog";
import { duration, elapsed, valueText } from "../../ui/format";
import { Empty, ErrorNotice, errorText, Loading } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { SpecView } from "../../ui/SpecView";
import { isFinal, StateBadge } from "../../ui/StateBadge";
import { Tabs } from "../../ui/Tabs";
import { toast } from "../../ui/toasts";
import { useNow } from "../../ui/useNow";
import { useUrlState } from "../../ui/useUrlState";
import { TaskList } from "./TaskList";
import { TaskPanel } from "./TaskPanel";
import { Timeline } from "./Timeline";

export function RunPage() {
  const { t } = useTranslator();
  const { run: id = "" } = useParams();
  const query = useQuery(runQuery(id));
  const crumbs = [{ to: "/runs", label: t("runs.title") }];
  if (query.isPending)
    return (
      <Page title={t("run.title")} crumbs={crumbs}>
        <Loading />
      </Page>
    );
  if (!query.data)
    return (
      <Page title={t("run.title")} crumbs={crumbs}>
        <ErrorNotice error={query.error} onRetry={() => query.refetch()} />
      </Page>
    );
  return <LoadedRun run={query.data} />;
}

function LoadedRun({ run }: { run: Run }) {
  const { t } = useTranslator();
  const [tab, setTab] = useUrlState("tab", "graph");
  const [taskId, setTask] = useUrlState("task");
  const tasks = run.tasks ?? [];
  const task = tasks.find((one) => one.task_id === taskId);
  const [node, setNode] = useState<string>();
  // A run of a pipeline that is kept names its version; one of a specification that came with it has that.
  const { pipeline_id = "", pipeline_version_id = "" } = run.pipeline_version_reference ?? {};
  const version = useQuery({
    ...versionQuery(pipeline_id, pipeline_version_id),
    enabled: run.pipeline_spec === undefined && pipeline_id !== "" && pipeline_version_id !== "",
  });
  const json = run.pipeline_spec ?? version.data?.pipeline_spec;
  const spec = useMemo(() => shownSpecOf(json), [json]);
  const select = (one: Task | undefined) => setTask(one?.task_id ?? "");
  return (
    <Page
      title={run.display_name}
      beside={<RunState run={run} />}
      crumbs={[{ to: "/runs", label: t("runs.title") }]}
      actions={<RunActions run={run} />}
    >
      {run.state === "FAILED" && run.error && (
        <div className="notice failed" role="status">
          <pre className="grow">{run.error.message}</pre>
        </div>
      )}
      <div className="split">
        <Tabs
          label={t("run.views")}
          selected={tab}
          onSelect={setTab}
          tabs={[
            {
              id: "graph",
              label: t("run.graph"),
              flush: true,
              content: () =>
                spec ? (
                  <GraphView
                    spec={spec}
                    tasks={tasks}
                    selected={node}
                    onSelect={(found) => {
                      setNode(found?.id);
                      select(found?.node.task);
                    }}
                  />
                ) : (
                  <Empty title={t("run.noSpec")} />
                ),
            },
            {
              id: "timeline",
              label: t("run.timeline"),
              flush: true,
              content: () => <Timeline tasks={tasks} selected={taskId} onSelect={select} />,
            },
            {
              id: "tasks",
              label: t("run.tasks"),
              flush: true,
              content: () => <TaskList tasks={tasks} selected={taskId} onSelect={select} />,
            },
            { id: "details", label: t("run.details"), content: () => <RunFacts run={run} /> },
            {
              id: "spec",
              label: t("pipeline.spec"),
              flush: true,
              content: () => <SpecView spec={json} name={run.display_name} />,
            },
          ]}
        />
        {task && <TaskPanel run={run} task={task} spec={spec} onClose={() => select(undefined)} />}
      </div>
    </Page>
  );
}

function RunState({ run }: { run: Run }) {
  const now = useNow(!isFinal(run.state));
  const ms = elapsed(run.created_at, run.finished_at, now);
  return (
    <>
      <StateBadge state={run.state} />
      {ms !== undefined && <span className="muted">{duration(ms)}</span>}
    </>
  );
}

function RunActions({ run }: { run: Run }) {
  const { t } = useTranslator();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [asking, setAsking] = useState<"delete" | "terminate">();
  const archived = run.storage_state === "ARCHIVED";
  async function act(action: RunAction) {
    try {
      await runAction(run.run_id, action);
      await queries.invalidateQueries({ queryKey: ["run"] });
    } catch (error) {
      toast(errorText(error, t), true);
    }
  }
  return (
    <>
      <LinkButton to={`/runs/new?clone=${run.run_id}`}>
        <Copy size={15} aria-hidden />
        {t("action.clone")}
      </LinkButton>
      {(run.state === "FAILED" || run.state === "CANCELED") && (
        <Button look="primary" onPress={() => act("retry")}>
          <RotateCcw size={15} aria-hidden />
          {t("action.retry")}
        </Button>
      )}
      {!isFinal(run.state) && (
        <Button onPress={() => setAsking("terminate")}>
          <Square size={15} aria-hidden />
          {t("action.terminate")}
        </Button>
      )}
      <Button onPress={() => act(archived ? "unarchive" : "archive")}>
        {archived ? <ArchiveRestore size={15} aria-hidden /> : <Archive size={15} aria-hidden />}
        {archived ? t("action.restore") : t("action.archive")}
      </Button>
      <Button onPress={() => setAsking("delete")}>
        <Trash2 size={15} aria-hidden />
        {t("action.delete")}
      </Button>
      {asking === "delete" && (
        <ConfirmDialog
          title={t("runs.delete.title", { count: 1 })}
          action={t("action.delete")}
          danger
          onClose={() => setAsking(undefined)}
          onConfirm={async () => {
            await deleteRun(run.run_id);
            await queries.invalidateQueries({ queryKey: ["run", "list"] });
            navigate("/runs");
          }}
        >
          <p>{t("runs.delete.text")}</p>
        </ConfirmDialog>
      )}
      {asking === "terminate" && (
        <ConfirmDialog
          title={t("run.terminate.title")}
          action={t("action.terminate")}
          danger
          onClose={() => setAsking(undefined)}
          onConfirm={async () => {
            await runAction(run.run_id, "terminate");
            await queries.invalidateQueries({ queryKey: ["run"] });
          }}
        >
          <p>{t("run.terminate.text")}</p>
        </ConfirmDialog>
      )}
    </>
  );
}

function RunFacts({ run }: { run: Run }) {
  const { t, time, number } = useTranslator();
  const parameters = run.tasks?.find((task) => task.type === "ROOT")?.inputs?.parameters;
  const outputs = run.tasks?.find((task) => task.type === "ROOT")?.outputs?.parameters;
  const values =
    parameters?.map(({ parameter_key, value }) => [parameter_key, value] as const) ??
    Object.entries(run.runtime_config?.parameters ?? {});
  return (
    <div className="stack">
      <section className="card">
        <h2>{t("run.details")}</h2>
        <dl className="facts">
          <dt>{t("field.id")}</dt>
          <dd className="mono">{run.run_id}</dd>
          {run.description && (
            <>
              <dt>{t("field.description")}</dt>
              <dd>{run.description}</dd>
            </>
          )}
          <dt>{t("field.created")}</dt>
          <dd>{time(run.created_at)}</dd>
          <dt>{t("field.finished")}</dt>
          <dd>{time(run.finished_at)}</dd>
          <dt>{t("run.taskCount")}</dt>
          <dd>{number(run.tasks?.filter((task) => task.type !== "ROOT").length ?? 0)}</dd>
          {run.service_account && (
            <>
              <dt>{t("run.serviceAccount")}</dt>
              <dd>{run.service_account}</dd>
            </>
          )}
          {run.runtime_config?.pipeline_root && (
            <>
              <dt>{t("run.pipelineRoot")}</dt>
              <dd className="mono">{run.runtime_config.pipeline_root}</dd>
            </>
          )}
        </dl>
      </section>
      <section className="card">
        <h2>{t("field.parameters")}</h2>
        {values.length === 0 ? (
          <p className="muted">{t("run.noParameters")}</p>
        ) : (
          <dl className="facts">
            {values.map(([name, value]) => (
              <div key={name} style={{ display: "contents" }}>
                <dt>{name}</dt>
                <dd className="mono">{valueText(value)}</dd>
              </div>
            ))}
          </dl>
        )}
      </section>
      {outputs && outputs.length > 0 && (
        <section className="card">
          <h2>{t("field.outputs")}</h2>
          <dl className="facts">
            {outputs.map(({ parameter_key, value }) => (
              <div key={parameter_key} style={{ display: "contents" }}>
                <dt>{parameter_key}</dt>
                <dd className="mono">{valueText(value)}</dd>
              </div>
            ))}
          </dl>
        </section>
      )}
      <section className="card">
        <h2>{t("run.history")}</h2>
        <ol className="stack" style={{ margin: 0, padding: 0, listStyle: "none" }}>
          {run.state_history?.map(({ update_time, state }) => (
            <li key={`${update_time} ${state}`} className="row">
              <StateBadge state={state} />
              <span className="muted">{time(update_time)}</span>
            </li>
          ))}
        </ol>
      </section>
    </div>
  );
}
