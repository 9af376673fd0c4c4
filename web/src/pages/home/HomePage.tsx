import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { runsQuery } from "../../api/queries";
import type { Run } from "../../api/types";
import { useTranslator } from "../../i18n";
import { ErrorNotice } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { StateBadge } from "../../ui/StateBadge";

export function HomePage() {
  const { t } = useTranslator();
  return (
    <Page title={t("home.title")}>
      <RunsIn state="RUNNING" title={t("home.running")} none={t("home.noRunning")} />
      <RunsIn state="FAILED" title={t("home.failed")} none={t("home.noFailed")} />
    </Page>
  );
}

function RunsIn({ state, title, none }: { state: string; title: string; none: string }) {
  const query = useInfiniteQuery(
    runsQuery({
      predicates: [{ key: "state", operation: "EQUALS", value: state }],
      sort: "created_at desc",
      pageSize: 10,
    }),
  );
  const runs = query.data?.pages[0]?.items ?? [];
  return (
    <section className="card">
      <h2>{title}</h2>
      {query.error && <ErrorNotice error={query.error} />}
      {query.isSuccess && runs.length === 0 && <p className="muted">{none}</p>}
      <div className="stack">
        {runs.map((run) => (
          <RunLine key={run.run_id} run={run} />
        ))}
      </div>
    </section>
  );
}

function RunLine({ run }: { run: Run }) {
  const { ago } = useTranslator();
  return (
    <div className="row">
      <StateBadge state={run.state} />
      <Link to={`/runs/${run.run_id}`}>{run.display_name}</Link>
      <span className="muted grow ellipsis" title={run.error?.message}>
        {run.error?.message}
      </span>
      <span className="muted">{ago(run.created_at)}</span>
    </div>
  );
}
