import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { Archive, ArchiveRestore, Plus, Trash2 } from "lucide-react";
import { useMemo, useState } from "react";
import { Link } from "react-router";
import type { Predicate } from "../../api/client";
import { deleteExperiment, experimentAction } from "../../api/experiments";
import { experimentsQuery } from "../../api/queries";
import type { Experiment } from "../../api/types";
import { useTranslator } from "../../i18n";
import { Button } from "../../ui/Button";
import type { Column } from "../../ui/DataTable";
import { ConfirmDialog } from "../../ui/Dialog";
import { Empty, errorText } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { QueryTable } from "../../ui/QueryTable";
import { SearchField } from "../../ui/SearchField";
import { Select } from "../../ui/Select";
import { toast } from "../../ui/toasts";
import { useUrlState } from "../../ui/useUrlState";
import { NewExperimentDialog } from "./NewExperimentDialog";

export function ExperimentsPage() {
  const { t, time, ago } = useTranslator();
  const queries = useQueryClient();
  const [name, setName] = useUrlState("q");
  const [storage, setStorage] = useUrlState("storage", "AVAILABLE");
  const [sort, setSort] = useUrlState("sort", "created_at desc");
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [open, setOpen] = useState<"new" | "delete">();
  const predicates: Predicate[] = [{ key: "storage_state", operation: "EQUALS", value: storage }];
  if (name) predicates.push({ key: "name", operation: "IS_SUBSTRING", value: name });
  const query = useInfiniteQuery(experimentsQuery({ predicates, sort }));
  const items = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  const archived = storage === "ARCHIVED";

  async function moveAll() {
    const results = await Promise.allSettled(
      [...selected].map((id) => experimentAction(id, archived ? "unarchive" : "archive")),
    );
    for (const result of results) if (result.status === "rejected") toast(errorText(result.reason, t), true);
    setSelected(new Set());
    await queries.invalidateQueries({ queryKey: ["experiment"] });
  }
  const columns: Column<Experiment>[] = [
    {
      id: "name",
      header: t("field.name"),
      sort: "name",
      cell: (one) => <Link to={`/experiments/${one.experiment_id}`}>{one.display_name}</Link>,
    },
    { id: "description", header: t("field.description"), cell: (one) => one.description },
    {
      id: "last",
      header: t("experiments.lastRun"),
      sort: "last_run_created_at",
      cell: (one) => <span title={time(one.last_run_created_at)}>{ago(one.last_run_created_at)}</span>,
    },
    {
      id: "created",
      header: t("field.created"),
      sort: "created_at",
      cell: (one) => <span title={time(one.created_at)}>{ago(one.created_at)}</span>,
    },
  ];
  return (
    <Page
      title={t("experiments.title")}
      actions={
        <Button look="primary" onPress={() => setOpen("new")}>
          <Plus size={15} aria-hidden />
          {t("experiments.new")}
        </Button>
      }
    >
      <div className="toolbar">
        <SearchField label={t("experiments.search")} value={name} onChange={setName} />
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
        <Button isDisabled={selected.size === 0} onPress={moveAll}>
          {archived ? <ArchiveRestore size={15} aria-hidden /> : <Archive size={15} aria-hidden />}
          {archived ? t("action.restore") : t("action.archive")}
        </Button>
        <Button isDisabled={selected.size === 0} onPress={() => setOpen("delete")}>
          <Trash2 size={15} aria-hidden />
          {t("action.delete")}
        </Button>
      </div>
      <QueryTable
        query={query}
        total={query.data?.pages[0]?.total}
        label={t("experiments.title")}
        items={items}
        columns={columns}
        idOf={(one) => one.experiment_id}
        sort={sort}
        onSort={setSort}
        selected={selected}
        onSelect={setSelected}
        empty={<Empty title={name ? t("runs.noMatch") : t("experiments.none")} />}
      />
      {open === "new" && <NewExperimentDialog onClose={() => setOpen(undefined)} />}
      {open === "delete" && (
        <ConfirmDialog
          title={t("experiments.delete.title", { count: selected.size })}
          action={t("action.delete")}
          danger
          onClose={() => setOpen(undefined)}
          onConfirm={async () => {
            await Promise.all([...selected].map(deleteExperiment));
            setSelected(new Set());
            await queries.invalidateQueries({ queryKey: ["experiment"] });
          }}
        >
          <p>{t("experiments.delete.text")}</p>
        </ConfirmDialog>
      )}
    </Page>
  );
}
