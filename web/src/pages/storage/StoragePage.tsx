import { useQuery, useQueryClient } from "@tanstack/react-query";
import { FlaskConical, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { Link } from "react-router";
import {
  deleteRule,
  type Plan,
  type PlannedRun,
  planRetention,
  type RetentionRule,
  rulesQuery,
  type Used,
  type UsedBy,
  usedQuery,
} from "../../api/storage";
import { useTranslator } from "../../i18n";
import { Button, IconButton } from "../../ui/Button";
import { type Column, DataTable } from "../../ui/DataTable";
import { ConfirmDialog } from "../../ui/Dialog";
import { bytes } from "../../ui/format";
import { Empty, ErrorNotice, errorText, Loading } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { Select } from "../../ui/Select";
import { Tabs } from "../../ui/Tabs";
import { toast } from "../../ui/toasts";
import { useUrlState } from "../../ui/useUrlState";
import { RuleDialog } from "./RuleDialog";
import "../runs/panel.css";

/** What takes space, and by which rules it comes back. */
export function StoragePage() {
  const { t } = useTranslator();
  const [tab, setTab] = useUrlState("tab", "used");
  return (
    <Page title={t("storage.title")}>
      <Tabs
        label={t("storage.views")}
        selected={tab}
        onSelect={setTab}
        tabs={[
          { id: "used", label: t("storage.used"), flush: true, content: () => <UsedSpace /> },
          { id: "rules", label: t("storage.rules"), flush: true, content: () => <Rules /> },
        ]}
      />
    </Page>
  );
}

function UsedSpace() {
  const { t, number } = useTranslator();
  const [by, setBy] = useUrlState("by", "pipeline");
  const query = useQuery(usedQuery(by as UsedBy));
  const columns: Column<Used>[] = [
    {
      id: "name",
      header: t(`storage.by.${by as UsedBy}`),
      cell: (one) =>
        one.run_id !== undefined ? (
          <Link to={`/runs/${encodeURIComponent(one.run_id)}`}>{one.run_id}</Link>
        ) : (
          (one.pipeline ?? one.namespace) || "—"
        ),
    },
    { id: "bytes", header: t("storage.bytes"), number: true, cell: (one) => bytes(one.bytes) },
    { id: "artifacts", header: t("storage.artifacts"), number: true, cell: (one) => bytes(one.artifact_bytes) },
    { id: "count", header: t("storage.count"), number: true, cell: (one) => number(one.artifacts) },
    { id: "logs", header: t("storage.logs"), number: true, cell: (one) => bytes(one.log_bytes) },
  ];
  return (
    <div className="page-part">
      <div className="toolbar">
        <Select
          label={t("storage.by")}
          value={by}
          onChange={setBy}
          options={(["pipeline", "namespace", "run"] as const).map((id) => ({ id, label: t(`storage.by.${id}`) }))}
        />
        {query.data && <span className="muted">{t("storage.total", { size: bytes(query.data.total_bytes) })}</span>}
      </div>
      {query.error ? (
        <ErrorNotice error={query.error} onRetry={() => query.refetch()} />
      ) : !query.data ? (
        <Loading />
      ) : (
        <DataTable
          label={t("storage.used")}
          items={query.data.usage}
          columns={columns}
          idOf={(one) => `${one.namespace}/${one.pipeline ?? one.run_id ?? ""}`}
          total={query.data.total_size}
          empty={<Empty title={t("storage.nothing")} />}
        />
      )}
    </div>
  );
}

function Rules() {
  const { t } = useTranslator();
  const queries = useQueryClient();
  const query = useQuery(rulesQuery);
  const [making, setMaking] = useState(false);
  const [deleting, setDeleting] = useState<RetentionRule>();
  const [plan, setPlan] = useState<Plan>();
  const columns: Column<RetentionRule>[] = [
    { id: "name", header: t("field.name"), cell: (one) => one.name },
    { id: "of", header: t("storage.pipelines"), cell: (one) => one.selector?.pipeline_names?.join(", ") ?? "—" },
    { id: "older", header: t("storage.olderThan"), cell: (one) => one.older_than ?? "—" },
    { id: "keep", header: t("storage.keepLast"), number: true, cell: (one) => one.keep_last ?? "—" },
    { id: "action", header: t("storage.action"), cell: (one) => t(`storage.${one.action}`) },
    {
      id: "actions",
      header: t("field.actions"),
      width: "80px",
      cell: (one) => (
        <IconButton small label={t("storage.deleteRule", { name: one.name })} onPress={() => setDeleting(one)}>
          <Trash2 size={15} aria-hidden />
        </IconButton>
      ),
    },
  ];
  async function dryRun() {
    try {
      setPlan(await planRetention());
    } catch (error) {
      toast(errorText(error, t), true);
    }
  }
  return (
    <div className="page-part">
      <div className="toolbar">
        <Button look="primary" onPress={() => setMaking(true)}>
          <Plus size={15} aria-hidden />
          {t("storage.newRule")}
        </Button>
        <Button onPress={dryRun}>
          <FlaskConical size={15} aria-hidden />
          {t("storage.dryRun")}
        </Button>
      </div>
      {query.error ? (
        <ErrorNotice error={query.error} onRetry={() => query.refetch()} />
      ) : !query.data ? (
        <Loading />
      ) : (
        <DataTable
          label={t("storage.rules")}
          items={query.data}
          columns={columns}
          idOf={(one) => one.rule_id}
          empty={<Empty title={t("storage.noRules")} />}
        />
      )}
      {plan && <Planned plan={plan} />}
      {making && <RuleDialog onClose={() => setMaking(false)} />}
      {deleting && (
        <ConfirmDialog
          title={t("storage.deleteRule", { name: deleting.name })}
          action={t("action.delete")}
          danger
          onClose={() => setDeleting(undefined)}
          onConfirm={async () => {
            await deleteRule(deleting.rule_id);
            setPlan(undefined);
            await queries.invalidateQueries({ queryKey: ["storage"] });
          }}
        >
          <p>{t("storage.deleteRule.text")}</p>
        </ConfirmDialog>
      )}
    </div>
  );
}

function Planned({ plan }: { plan: Plan }) {
  const { t, number } = useTranslator();
  const columns: Column<PlannedRun>[] = [
    {
      id: "run",
      header: t("storage.by.run"),
      cell: (one) => <Link to={`/runs/${encodeURIComponent(one.run_id)}`}>{one.display_name ?? one.run_id}</Link>,
    },
    { id: "rule", header: t("storage.rule"), cell: (one) => one.rule },
    { id: "reason", header: t("storage.reason"), cell: (one) => <span title={one.reason}>{one.reason}</span> },
    { id: "bytes", header: t("storage.bytes"), number: true, cell: (one) => bytes(one.bytes) },
  ];
  return (
    <section className="page-part" aria-label={t("storage.plan")}>
      <h2 aria-live="polite">
        {t("storage.planned", {
          deleted: number(plan.deleted),
          archived: number(plan.archived),
          size: bytes(plan.bytes),
        })}
      </h2>
      <DataTable
        label={t("storage.plan")}
        items={plan.runs}
        columns={columns}
        idOf={(one) => one.run_id}
        total={plan.deleted + plan.archived}
        empty={<Empty title={t("storage.nothingGoes")} />}
      />
      {plan.kept_artifacts.length > 0 && (
        <details>
          <summary>{t("storage.kept", { count: number(plan.kept_artifacts.length) })}</summary>
          <ul>
            {plan.kept_artifacts.map(({ uri, reason }) => (
              <li key={uri}>
                <code>{uri}</code>: {reason}
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}
