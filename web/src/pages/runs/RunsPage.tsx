import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { Archive, ArchiveRestore, GitCompare, Plus, RotateCcw, Square, Trash2 } from "lucide-react";
import { useMemo, useState } from "react";
import { Link, useNavigate } from "react-router";
import type { Predicate } from "../../api/client";
import { runsQuery } from "../../api/queries";
import { deleteRun, runAction } from "../../api/runs";
import type { Run } from "../../api/types";
import { useTranslator } from "../../i18n";
import { Button, LinkButton } from "../../ui/Button";
import type { Column } from "../../ui/DataTable";
import { ConfirmDialog } from "../../ui/Dialog";
import { duration, elapsed } from "../../ui/format";
import { Empty, errorText } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { QueryTable } from "../../ui/QueryTable";
import { SearchField } from "../../ui/SearchField";
import { Select } from "../../ui/Select";
import { isFinal, StateBadge } from "../../ui/StateBadge";
import { toast } from "../../ui/toasts";
import { useNow } from "../../ui/useNow";
import { useUrlState } from "../../ui/useUrlState";

const states = ["RUNNING", "PENDING", "SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"] as const;

export function RunsPage() {
  const { t } = useTranslator();
  return (
    <Page
      title={t("runs.title")}
      actions={
        <LinkButton to="/runs/new" look="primary">
          <Plus size={15} aria-hidden />
          {t("runs.new")}
        </LinkButton>
      }
    >
      <RunList />
    </Page>
  );
}

/** The runs, all or an experiment's, with filters that the page's address holds. */
export function RunList({ experiment }: { experiment?: string }) {
  const { t } = useTranslator();
  const navigate = useNavigate();
  const [name, setName] = useUrlState("q");
  const [state, setState] = useUrlState("state");
  const [storage, setStorage] = useUrlState("storage", "AVAILABLE");
  const [sort, setSort] = useUrlState("sort", "created_at desc");
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const predicates: Predicate[] = [{ key: "storage_state", operation: "EQUALS", value: storage }];
  if (name) predicates.push({ key: "name", operation: "IS_SUBSTRING", value: name });
  if (state) predicates.push({ key: "state", operation: "EQUALS", value: state });
  const query = useInfiniteQuery(runsQuery({ predicates, sort, experiment }));
  const runs = useMemo(() => query.data?.pages.flatMap(({ items }) => items) ?? [], [query.data]);
  const now = useNow(runs.some((run) => !isFinal(run.state)));
  const columns = useColumns(now);
  const chosen = runs.filter((run) => selected.has(run.run_id));

  return (
    <>
      <div className="toolbar">
        <SearchField label={t("runs.search")} value={name} onChange={setName} />
        <Select
          label={t("field.state")}
          value={state}
          onChange={setState}
          options={[
            { id: "", label: t("runs.anyState") },
            ...states.map((id) => ({ id, label: t(`state.${id.toLowerCase()}` as "state.running") })),
          ]}
        />
        <Select
          label={t("runs.storage")}
          value={storage}
          onChange={setStorage}
          options={[
            { id: "AVAILABLE", label: t("runs.active") },
            { id: "ARCHIVED", label: t("runs.archived") },
          ]}
        />
        <span className="grow" />
        <BulkActions runs={chosen} archived={storage === "ARCHIVED"} onDone={() => setSelected(new Set())} />
        <Button
          isDisabled={chosen.length < 2 || chosen.length > 10}
          onPress={() => navigate(`/compare?runs=${chosen.map((run) => run.run_id).join(",")}`)}
        >
          <GitCompare size={15} aria-hidden />
          {t("action.compare")}
        </Button>
      </div>
      <QueryTable
        query={query}
        total={query.data?.pages[0]?.total}
        label={t("runs.title")}
        items={runs}
        columns={columns}
        idOf={(run) => run.run_id}
        sort={sort}
        onSort={setSort}
        selected={selected}
        onSelect={setSelected}
        empty={
          <Empty title={name || state ? t("runs.noMatch") : t("runs.none")}>
            {!name && !state && <LinkButton to="/pipelines">{t("runs.toPipelines")}</LinkButton>}
          </Empty>
        }
      />
    </>
  );
}

function useColumns(now: number): Column<Run>[] {
  const { t, time, ago } = useTranslator();
  return [
    {
      id: "name",
      header: t("field.name"),
      sort: "name",
      width: "34%",
      cell: (run) => <Link to={`/runs/${run.run_id}`}>{run.display_name}</Link>,
    },
    { id: "state", header: t("field.state"), sort: "state", cell: (run) => <StateBadge state={run.state} /> },
    {
      id: "why",
      header: t("runs.why"),
      cell: (run) => <span title={run.error?.message}>{run.error?.message?.split("\n")[0]}</span>,
    },
    {
      id: "duration",
      header: t("field.duration"),
      number: true,
      cell: (run) => {
        const ms = elapsed(run.created_at, run.finished_at, now);
        return ms === undefined ? "—" : duration(ms);
      },
    },
    {
      id: "created",
      header: t("field.created"),
      sort: "created_at",
      cell: (run) => <span title={time(run.created_at)}>{ago(run.created_at)}</span>,
    },
  ];
}

interface BulkProps {
  runs: Run[];
  archived: boolean;
  onDone(): void;
}

function BulkActions({ runs, archived, onDone }: BulkProps) {
  const { t } = useTranslator();
  const queries = useQueryClient();
  const [asking, setAsking] = useState(false);
  /** Does it to each; the ones that fail are told of by name. */
  async function each(action: (run: Run) => Promise<unknown>, of: Run[]) {
    const results = await Promise.allSettled(of.map(action));
    results.forEach((result, at) => {
      if (result.status === "rejected") toast(`${of[at]?.display_name}: ${errorText(result.reason, t)}`, true);
    });
    onDone();
    await queries.invalidateQueries({ queryKey: ["run"] });
  }
  const running = runs.filter((run) => !isFinal(run.state));
  const failed = runs.filter((run) => run.state === "FAILED" || run.state === "CANCELED");
  return (
    <>
      <Button isDisabled={failed.length === 0} onPress={() => each((run) => runAction(run.run_id, "retry"), failed)}>
        <RotateCcw size={15} aria-hidden />
        {t("action.retry")}
      </Button>
      <Button
        isDisabled={running.length === 0}
        onPress={() => each((run) => runAction(run.run_id, "terminate"), running)}
      >
        <Square size={15} aria-hidden />
        {t("action.terminate")}
      </Button>
      <Button
        isDisabled={runs.length === 0}
        onPress={() => each((run) => runAction(run.run_id, archived ? "unarchive" : "archive"), runs)}
      >
        {archived ? <ArchiveRestore size={15} aria-hidden /> : <Archive size={15} aria-hidden />}
        {archived ? t("action.restore") : t("action.archive")}
      </Button>
      <Button isDisabled={runs.length === 0} onPress={() => setAsking(true)}>
        <Trash2 size={15} aria-hidden />
        {t("action.delete")}
      </Button>
      {asking && (
        <ConfirmDialog
          title={t("runs.delete.title", { count: runs.length })}
          action={t("action.delete")}
          danger
          onClose={() => setAsking(false)}
          onConfirm={() => each((run) => deleteRun(run.run_id), runs)}
        >
          <p>{t("runs.delete.text")}</p>
        </ConfirmDialog>
      )}
    </>
  );
}
