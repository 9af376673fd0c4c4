import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Play } from "lucide-react";
import { type FormEvent, useEffect, useId, useMemo, useState } from "react";
import { useNavigate, useSearchParams } from "react-router";
import { experimentsQuery, pipelinesQuery, runQuery, versionQuery, versionsQuery } from "../../api/queries";
import { createRecurringRun, recurringRunQuery } from "../../api/recurring";
import { createRun } from "../../api/runs";
import type { JsonObject, Run } from "../../api/types";
import type { ParameterSpec } from "../../graph/spec";
import { shownSpecOf } from "../../graph/workflow";
import { useTranslator } from "../../i18n";
import { Button } from "../../ui/Button";
import { ErrorNotice, errorText, Loading } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { check, ParameterForm, type Typed, typedText } from "../../ui/ParameterForm";
import { TriggerFields, type TypedTrigger, triggerOf, typedTriggerOf } from "../recurring/TriggerFields";

/** Where the values that a pipeline was last started with are kept, in this browser. */
const remembered = (pipeline: string) => `parameters ${pipeline}`;

/** Starts a run, or with `recurring` makes one that is started by a schedule. */
export function NewRunPage({ recurring = false }: { recurring?: boolean }) {
  const { t } = useTranslator();
  const [params, setParams] = useSearchParams();
  const clone = params.get("clone") ?? "";
  const clonedRun = useQuery({ ...runQuery(clone), enabled: clone !== "" && !recurring });
  const clonedRecurring = useQuery({ ...recurringRunQuery(clone), enabled: clone !== "" && recurring });
  const source = recurring ? clonedRecurring : clonedRun;
  const reference = source.data?.pipeline_version_reference ?? clonedRun.data?.pipeline_reference;
  const pipeline = params.get("pipeline") ?? reference?.pipeline_id ?? "";
  const chosenVersion = params.get("version") ?? reference?.pipeline_version_id;
  const pipelines = useInfiniteQuery(pipelinesQuery({ sort: "created_at desc", pageSize: 200 }));
  const versions = useInfiniteQuery({
    ...versionsQuery(pipeline, { sort: "created_at desc" }),
    enabled: pipeline !== "",
  });
  const versionList = versions.data?.pages.flatMap(({ items }) => items) ?? [];
  const version = chosenVersion ?? versionList[0]?.pipeline_version_id ?? "";
  const detail = useQuery({ ...versionQuery(pipeline, version), enabled: pipeline !== "" && version !== "" });
  const spec = pipeline === "" ? source.data?.pipeline_spec : detail.data?.pipeline_spec;
  const id = useId();

  const title = recurring ? t("recurring.new") : t("runs.new");
  const crumbs = [
    recurring ? { to: "/recurring-runs", label: t("recurring.title") } : { to: "/runs", label: t("runs.title") },
  ];
  if (clone !== "" && !source.data)
    return (
      <Page title={title} crumbs={crumbs}>
        {source.error ? <ErrorNotice error={source.error} /> : <Loading />}
      </Page>
    );
  const choose = (values: { [name: string]: string }) =>
    setParams(
      {
        ...(clone && { clone }),
        ...(pipeline && { pipeline }),
        ...(params.get("experiment") && { experiment: params.get("experiment") ?? "" }),
        ...values,
      },
      { replace: true },
    );
  return (
    <Page title={title} crumbs={crumbs}>
      <div className="form">
        {(clone === "" || pipeline !== "") && (
          <section className="card stack">
            <div className="field">
              <label htmlFor={`${id}-pipeline`}>{t("pipeline.title")}</label>
              <select
                id={`${id}-pipeline`}
                value={pipeline}
                onChange={(event) => choose({ pipeline: event.target.value })}
              >
                <option value="">{t("newRun.choose")}</option>
                {pipelines.data?.pages.flatMap(({ items }) =>
                  items.map((one) => (
                    <option key={one.pipeline_id} value={one.pipeline_id}>
                      {one.display_name}
                    </option>
                  )),
                )}
              </select>
            </div>
            {pipeline !== "" && (
              <div className="field">
                <label htmlFor={`${id}-version`}>{t("pipeline.version")}</label>
                <select
                  id={`${id}-version`}
                  value={version}
                  onChange={(event) => choose({ version: event.target.value })}
                >
                  {versionList.map((one) => (
                    <option key={one.pipeline_version_id} value={one.pipeline_version_id}>
                      {one.display_name}
                    </option>
                  ))}
                </select>
              </div>
            )}
          </section>
        )}
        {(detail.error ?? versions.error) && <ErrorNotice error={detail.error ?? versions.error} />}
        {spec && (
          <RunForm
            key={`${clone} ${pipeline} ${version}`}
            pipeline={pipeline}
            version={version}
            spec={spec}
            name={
              source.data ? t("newRun.cloneOf", { name: source.data.display_name }) : (detail.data?.display_name ?? "")
            }
            from={recurring ? clonedRecurring.data?.runtime_config?.parameters : clonedParameters(clonedRun.data)}
            experiment={source.data?.experiment_id ?? params.get("experiment") ?? undefined}
            recurring={
              recurring
                ? typedTriggerOf(clonedRecurring.data?.trigger ?? { cron_schedule: { cron: "0 0 6 * * *" } })
                : undefined
            }
          />
        )}
      </div>
    </Page>
  );
}

/** What the run that is cloned was started with. */
function clonedParameters(run: Run | undefined): JsonObject | undefined {
  if (!run) return undefined;
  const root = run.tasks?.find((task) => task.type === "ROOT")?.inputs?.parameters;
  if (run.runtime_config?.parameters) return run.runtime_config.parameters;
  return root && Object.fromEntries(root.map(({ parameter_key, value }) => [parameter_key, value ?? null]));
}

interface FormProps {
  pipeline: string;
  version: string;
  spec: JsonObject;
  name: string;
  /** Values to begin with: those of the run that is cloned. */
  from?: JsonObject;
  experiment?: string;
  /** The schedule to begin with, of a recurring run. */
  recurring?: TypedTrigger;
}

function RunForm({
  pipeline,
  version,
  spec: json,
  name: firstName,
  from,
  experiment: firstExperiment,
  recurring,
}: FormProps) {
  const { t } = useTranslator();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const id = useId();
  const spec = useMemo(() => shownSpecOf(json), [json]);
  const specs: { [name: string]: ParameterSpec } = spec?.root.inputDefinitions?.parameters ?? {};
  const key = remembered(pipeline || (spec?.pipelineInfo?.name ?? ""));
  const [typed, setTyped] = useState<Typed>(() => initial(specs, from ?? read(key)));
  const [name, setName] = useState(firstName);
  const [description, setDescription] = useState("");
  const [experiment, setExperiment] = useState(firstExperiment ?? "");
  const [root, setRoot] = useState("");
  const [trigger, setTrigger] = useState(recurring);
  const [problems, setProblems] = useState<{ [name: string]: string }>({});
  const [failure, setFailure] = useState<string>();
  const [busy, setBusy] = useState(false);
  const experiments = useInfiniteQuery(experimentsQuery({ sort: "created_at desc" }));
  useEffect(() => setName(firstName), [firstName]);

  async function submit(event: FormEvent) {
    event.preventDefault();
    const checked = check(specs, typed);
    setProblems(checked.problems);
    setFailure(undefined);
    if (Object.keys(checked.problems).length > 0) return;
    setBusy(true);
    const run = {
      display_name: name.trim() || firstName || "run",
      description: description.trim() || undefined,
      experiment_id: experiment || undefined,
      runtime_config: { parameters: checked.values, pipeline_root: root.trim() || undefined },
      ...(pipeline
        ? { pipeline_version_reference: { pipeline_id: pipeline, pipeline_version_id: version } }
        : { pipeline_spec: json }),
    };
    try {
      if (trigger) {
        const made = await createRecurringRun({
          ...run,
          trigger: triggerOf(trigger),
          max_concurrency: trigger.concurrency,
          no_catchup: !trigger.catchUp,
          mode: "ENABLE",
        });
        await queries.invalidateQueries({ queryKey: ["recurring_run", "list"] });
        navigate(`/recurring-runs/${made.recurring_run_id}`);
      } else {
        const made = await createRun(run);
        await queries.invalidateQueries({ queryKey: ["run", "list"] });
        navigate(`/runs/${made.run_id}`);
      }
      localStorage.setItem(key, JSON.stringify(checked.values));
    } catch (error) {
      setFailure(errorText(error, t));
      setBusy(false);
    }
  }
  return (
    <form className="stack" onSubmit={submit} noValidate>
      <section className="card stack">
        <h2>{t("newRun.about")}</h2>
        <div className="field">
          <label htmlFor={`${id}-name`}>{t("field.name")}</label>
          <input id={`${id}-name`} value={name} onChange={(event) => setName(event.target.value)} />
        </div>
        <div className="field">
          <label htmlFor={`${id}-description`}>{t("field.description")}</label>
          <input
            id={`${id}-description`}
            value={description}
            onChange={(event) => setDescription(event.target.value)}
          />
        </div>
        <div className="field">
          <label htmlFor={`${id}-experiment`}>{t("experiment.title")}</label>
          <select id={`${id}-experiment`} value={experiment} onChange={(event) => setExperiment(event.target.value)}>
            <option value="">{t("newRun.defaultExperiment")}</option>
            {experiments.data?.pages.flatMap(({ items }) =>
              items
                // The one that runs go to anyway is the first choice already.
                .filter((one) => one.display_name !== "Default" || one.experiment_id === experiment)
                .map((one) => (
                  <option key={one.experiment_id} value={one.experiment_id}>
                    {one.display_name}
                  </option>
                )),
            )}
          </select>
        </div>
        <div className="field">
          <label htmlFor={`${id}-root`}>{t("run.pipelineRoot")}</label>
          <input
            id={`${id}-root`}
            value={root}
            placeholder={t("newRun.root")}
            onChange={(event) => setRoot(event.target.value)}
          />
        </div>
      </section>
      {trigger && <TriggerFields typed={trigger} onChange={setTrigger} />}
      <section className="card">
        <h2>{t("field.parameters")}</h2>
        <ParameterForm specs={specs} typed={typed} problems={problems} onChange={setTyped} />
      </section>
      {failure !== undefined && (
        <div role="alert" className="notice failed">
          <pre>{failure}</pre>
        </div>
      )}
      <div className="row">
        <Button look="primary" type="submit" isDisabled={busy}>
          <Play size={15} aria-hidden />
          {recurring ? t("action.create") : t("newRun.start")}
        </Button>
      </div>
    </form>
  );
}

function read(key: string): JsonObject | undefined {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "") as JsonObject;
  } catch {
    return undefined;
  }
}

function initial(specs: { [name: string]: ParameterSpec }, from: JsonObject | undefined): Typed {
  return Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => {
      const text = typedText(from?.[name]);
      return [name, text === typedText(spec.defaultValue) ? undefined : text];
    }),
  );
}
