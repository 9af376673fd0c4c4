import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Copy, Power, Trash2 } from "lucide-react";
import { useState } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { runsQuery } from "../../api/queries";
import {
  deleteRecurringRun,
  recurringRunQuery,
  scheduleQuery,
  switchRecurringRun,
  triggerText,
} from "../../api/recurring";
import type { RecurringRun } from "../../api/types";
import { useTranslator } from "../../i18n";
import { Button, LinkButton } from "../../ui/Button";
import { ConfirmDialog } from "../../ui/Dialog";
import { valueText } from "../../ui/format";
import { ErrorNotice, errorText, Loading } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { StateBadge } from "../../ui/StateBadge";
import { toast } from "../../ui/toasts";
import { FireCalendar } from "./FireCalendar";

export function RecurringRunPage() {
  const { t } = useTranslator();
  const { recurring: id = "" } = useParams();
  const query = useQuery(recurringRunQuery(id));
  const crumbs = [{ to: "/recurring-runs", label: t("recurring.title") }];
  if (!query.data)
    return (
      <Page title={t("recurring.one")} crumbs={crumbs}>
        {query.error ? <ErrorNotice error={query.error} onRetry={() => query.refetch()} /> : <Loading />}
      </Page>
    );
  return <Loaded one={query.data} />;
}

function Loaded({ one }: { one: RecurringRun }) {
  const { t, time, number } = useTranslator();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const id = one.recurring_run_id;
  const [asking, setAsking] = useState(false);
  const schedule = useQuery(scheduleQuery(id, 200));
  const runs = useInfiniteQuery(
    runsQuery({
      predicates: [{ key: "recurring_run_id", operation: "EQUALS", value: id }],
      sort: "created_at desc",
      pageSize: 20,
    }),
  );
  const on = one.status === "ENABLED";
  async function flip() {
    try {
      await switchRecurringRun(id, !on);
      await queries.invalidateQueries({ queryKey: ["recurring_run"] });
    } catch (error) {
      toast(errorText(error, t), true);
    }
  }
  const upcoming = schedule.data?.upcoming?.map(({ scheduled_at }) => new Date(scheduled_at)) ?? [];
  const missed = upcoming.filter((at) => at.getTime() <= Date.now()).length;
  const window = one.trigger?.cron_schedule ?? one.trigger?.periodic_schedule;
  return (
    <Page
      title={one.display_name}
      crumbs={[{ to: "/recurring-runs", label: t("recurring.title") }]}
      beside={<span className="tag">{on ? t("recurring.enabled") : t("recurring.disabled")}</span>}
      actions={
        <>
          <Button onPress={flip}>
            <Power size={15} aria-hidden />
            {on ? t("recurring.disable") : t("recurring.enable")}
          </Button>
          <LinkButton to={`/recurring-runs/new?clone=${id}`}>
            <Copy size={15} aria-hidden />
            {t("action.clone")}
          </LinkButton>
          <Button onPress={() => setAsking(true)}>
            <Trash2 size={15} aria-hidden />
            {t("action.delete")}
          </Button>
        </>
      }
    >
      {one.description && <p className="muted">{one.description}</p>}
      {one.error?.message && (
        <div className="notice failed" role="status">
          <pre>{one.error.message}</pre>
        </div>
      )}
      <div className="columns">
        <section className="card">
          <h2>{t("run.details")}</h2>
          <dl className="facts">
            <dt>{t("recurring.trigger")}</dt>
            <dd>
              <code>{triggerText(one.trigger)}</code>
            </dd>
            <dt>{t("recurring.start")}</dt>
            <dd>{time(window?.start_time)}</dd>
            <dt>{t("recurring.end")}</dt>
            <dd>{time(window?.end_time)}</dd>
            <dt>{t("recurring.concurrency")}</dt>
            <dd>{one.max_concurrency ?? "1"}</dd>
            <dt>{t("recurring.catchUp")}</dt>
            <dd>
              {one.no_catchup ? t("recurring.lastOnly") : t("recurring.oneByOne")}
              {missed > 0 && <strong> · {t("recurring.missed", { count: number(missed) })}</strong>}
            </dd>
            <dt>{t("recurring.made")}</dt>
            <dd>{number(schedule.data?.runs_made ?? 0)}</dd>
            <dt>{t("recurring.last")}</dt>
            <dd>{time(schedule.data?.last_scheduled_at)}</dd>
            <dt>{t("field.created")}</dt>
            <dd>{time(one.created_at)}</dd>
            {Object.entries(one.runtime_config?.parameters ?? {}).map(([name, value]) => (
              <div key={name} style={{ display: "contents" }}>
                <dt>{name}</dt>
                <dd className="mono">{valueText(value)}</dd>
              </div>
            ))}
          </dl>
        </section>
        <section className="card">
          <h2>{t("recurring.next")}</h2>
          {schedule.error && <ErrorNotice error={schedule.error} />}
          {on ? <FireCalendar fires={upcoming} /> : <p className="muted">{t("recurring.off")}</p>}
        </section>
        <section className="card">
          <h2>{t("runs.title")}</h2>
          <div className="stack">
            {runs.data?.pages[0]?.items.map((run) => (
              <div key={run.run_id} className="row">
                <StateBadge state={run.state} />
                <Link className="grow ellipsis" to={`/runs/${run.run_id}`}>
                  {run.display_name}
                </Link>
                <span className="muted">{time(run.created_at)}</span>
              </div>
            ))}
            {runs.data?.pages[0]?.items.length === 0 && <p className="muted">{t("runs.none")}</p>}
          </div>
        </section>
      </div>
      {asking && (
        <ConfirmDialog
          title={t("recurring.delete.title")}
          action={t("action.delete")}
          danger
          onClose={() => setAsking(false)}
          onConfirm={async () => {
            await deleteRecurringRun(id);
            await queries.invalidateQueries({ queryKey: ["recurring_run", "list"] });
            navigate("/recurring-runs");
          }}
        >
          <p>{t("recurring.delete.text")}</p>
        </ConfirmDialog>
      )}
    </Page>
  );
}
