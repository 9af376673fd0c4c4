import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Play } from "lucide-react";
import { useState } from "react";
import { Link, useNavigate } from "react-router";
import {
  examplesQuery,
  type Overview,
  overviewQuery,
  type QueuedPod,
  type ResourceUse,
  type RunSummary,
  runExample,
} from "../../api/overview";
import { useTranslator } from "../../i18n";
import { Button } from "../../ui/Button";
import { bytes } from "../../ui/format";
import { ErrorNotice, errorText, Loading } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { StateBadge } from "../../ui/StateBadge";
import { toast } from "../../ui/toasts";
import "./home.css";

/** The server at a glance: what runs, what failed and why, what waits and for what, and something to begin with. */
export function HomePage() {
  const { t } = useTranslator();
  const query = useQuery(overviewQuery);
  return (
    <Page title={t("home.title")}>
      {query.error && <ErrorNotice error={query.error} onRetry={() => query.refetch()} />}
      {query.isPending && <Loading />}
      {query.data && <Glance overview={query.data} />}
      <Examples />
    </Page>
  );
}

function Glance({ overview }: { overview: Overview }) {
  const { t, number } = useTranslator();
  const { active, failed, queued, queued_count, resources } = overview;
  return (
    <div className="glance">
      <section className="card">
        <h2>{t("home.active")}</h2>
        {active.length === 0 && <p className="muted">{t("home.noActive")}</p>}
        {active.map((run) => (
          <Running key={run.run_id} run={run} />
        ))}
      </section>
      <section className="card">
        <h2>{t("home.failed")}</h2>
        {failed.length === 0 && <p className="muted">{t("home.noFailed")}</p>}
        {failed.map((run) => (
          <Failed key={run.run_id} run={run} />
        ))}
      </section>
      <section className="card">
        <h2>{t("home.queued", { count: number(queued_count) })}</h2>
        {queued.length === 0 && <p className="muted">{t("home.noQueued")}</p>}
        {queued.map((pod) => (
          <Queued key={pod.pod} pod={pod} />
        ))}
      </section>
      <section className="card">
        <h2>{t("home.usage")}</h2>
        <Use label={t("home.cpu")} use={resources.cpu} show={(value) => number(value, { maximumFractionDigits: 1 })} />
        <Use label={t("home.memory")} use={resources.memory} show={bytes} />
        {resources.gpus.capacity > 0 && (
          <Use label={t("home.gpu")} use={resources.gpus} show={(value) => number(value)} />
        )}
        <div className="use">
          <span>{t("home.disk")}</span>
          <meter
            aria-label={t("home.disk")}
            max={resources.disk.capacity}
            value={resources.disk.capacity - resources.disk.free}
          />
          <span className="muted">
            {t("home.free", { free: bytes(resources.disk.free), capacity: bytes(resources.disk.capacity) })}
          </span>
        </div>
      </section>
    </div>
  );
}

function Running({ run }: { run: RunSummary }) {
  const { t, ago, number } = useTranslator();
  const all = Object.values(run.tasks).reduce((sum, count) => sum + count, 0);
  const done = ["SUCCEEDED", "CACHED", "SKIPPED", "FAILED"].reduce((sum, state) => sum + (run.tasks[state] ?? 0), 0);
  return (
    <div className="row line">
      <StateBadge state={run.state} />
      <Link className="grow ellipsis" to={`/runs/${run.run_id}`}>
        {run.display_name}
      </Link>
      <span className="muted">
        {t("home.tasksOf", { done: number(done), all: number(all) })} · {ago(run.created_at)}
      </span>
    </div>
  );
}

function Failed({ run }: { run: RunSummary }) {
  const { ago } = useTranslator();
  const failure = run.first_failure;
  return (
    <div className="line">
      <div className="row">
        <StateBadge state={run.state} />
        <Link className="grow ellipsis" to={`/runs/${run.run_id}${failure ? `?task=${failure.task_id}` : ""}`}>
          {run.display_name}
        </Link>
        <span className="muted">{ago(run.finished_at ?? run.created_at)}</span>
      </div>
      <p className="why">
        {failure && <strong>{failure.display_name}: </strong>}
        {failure?.message ?? run.error}
      </p>
    </div>
  );
}

function Queued({ pod }: { pod: QueuedPod }) {
  const { ago } = useTranslator();
  return (
    <div className="line">
      <div className="row">
        {pod.run_id ? (
          <Link className="grow ellipsis" to={`/runs/${pod.run_id}`}>
            {pod.task ?? pod.pod}
          </Link>
        ) : (
          <span className="grow ellipsis">{pod.pod}</span>
        )}
        <span className="muted">{ago(pod.since)}</span>
      </div>
      <p className="why">{pod.reason}</p>
    </div>
  );
}

function Use({ label, use, show }: { label: string; use: ResourceUse; show(value: number): string }) {
  const { t } = useTranslator();
  return (
    <div className="use">
      <span>{label}</span>
      <meter aria-label={label} max={use.capacity} value={use.requested} />
      <span className="muted">
        {t("home.capacity", { requested: show(use.requested), capacity: show(use.capacity) })}
        {use.used_by_server !== undefined &&
          ` · ${t("home.usedBy", { server: show(use.used_by_server), tasks: show(use.used_by_tasks ?? 0) })}`}
      </span>
    </div>
  );
}

function Examples() {
  const { t } = useTranslator();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const query = useQuery(examplesQuery);
  const [busy, setBusy] = useState<string>();
  async function start(name: string) {
    setBusy(name);
    try {
      const run = await runExample(name);
      await queries.invalidateQueries({ queryKey: ["run", "list"] });
      navigate(`/runs/${run.run_id}`);
    } catch (error) {
      toast(errorText(error, t), true);
      setBusy(undefined);
    }
  }
  if (!query.data) return query.error ? <ErrorNotice error={query.error} /> : null;
  return (
    <section className="card">
      <h2>{t("home.examples")}</h2>
      <ul className="examples">
        {query.data.map(({ name, description }) => (
          <li key={name}>
            <div className="grow">
              <strong>{name}</strong>
              <p className="muted">{description}</p>
            </div>
            <Button small isDisabled={busy !== undefined} onPress={() => start(name)}>
              <Play size={13} aria-hidden />
              {t("home.run", { name })}
            </Button>
          </li>
        ))}
      </ul>
    </section>
  );
}
