import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useMemo } from "react";
import { Link } from "react-router";
import type { Predicate } from "../../api/client";
import { recurringRunsQuery } from "../../api/queries";
import { switchRecurringRun, triggerText } from "../../api/recurring";
import type { RecurringRun } from "../../api/types";
import { useTranslator } from "../../i18n";
import { Button, LinkButton } from "../../ui/Button";
import type { Column } from "../../ui/DataTable";
import { Empty, errorText } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { QueryTable } from "../../ui/QueryTable";
import { SearchField } from "../../ui/SearchField";
import { toast } from "../../ui/toasts";
import { useUrlState } from "../../ui/useUrlState";

export function RecurringRunsPage() {
  const { t, time, ago } = useTranslator();
  const queries = useQueryClient();
  const [name, setName] = useUrlState("q");
  const [sort, setSort] = useUrlState("sort", "created_at desc");
  const predicates: Predicate[] = name ? [{ key: "name", operation: "IS_SUBSTRING", value: name }] : [];
  const query = useInfiniteQuery(recurringRunsQuery({ predicates, sort }));
  const items = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  async function flip(one: RecurringRun) {
    try {
      await switchRecurringRun(one.recurring_run_id, one.status !== "ENABLED");
      await queries.invalidateQueries({ queryKey: ["recurring_run"] });
    } catch (error) {
      toast(errorText(error, t), true);
    }
  }
  const columns: Column<RecurringRun>[] = [
    {
      id: "name",
      header: t("field.name"),
      sort: "name",
      cell: (one) => <Link to={`/recurring-runs/${one.recurring_run_id}`}>{one.display_name}</Link>,
    },
    { id: "trigger", header: t("recurring.trigger"), cell: (one) => <code>{triggerText(one.trigger)}</code> },
    {
      id: "status",
      header: t("recurring.status"),
      cell: (one) => (one.status === "ENABLED" ? t("recurring.enabled") : t("recurring.disabled")),
    },
    { id: "error", header: t("runs.why"), cell: (one) => <span title={one.error?.message}>{one.error?.message}</span> },
    {
      id: "created",
      header: t("field.created"),
      sort: "created_at",
      cell: (one) => <span title={time(one.created_at)}>{ago(one.created_at)}</span>,
    },
    {
      id: "actions",
      header: t("field.actions"),
      cell: (one) => (
        <Button small onPress={() => flip(one)}>
          {one.status === "ENABLED" ? t("recurring.disable") : t("recurring.enable")}
        </Button>
      ),
    },
  ];
  return (
    <Page
      title={t("recurring.title")}
      actions={
        <LinkButton to="/recurring-runs/new" look="primary">
          <Plus size={15} aria-hidden />
          {t("recurring.new")}
        </LinkButton>
      }
    >
      <div className="toolbar">
        <SearchField label={t("recurring.search")} value={name} onChange={setName} />
      </div>
      <QueryTable
        query={query}
        total={query.data?.pages[0]?.total}
        label={t("recurring.title")}
        items={items}
        columns={columns}
        idOf={(one) => one.recurring_run_id}
        sort={sort}
        onSort={setSort}
        empty={<Empty title={name ? t("runs.noMatch") : t("recurring.none")} />}
      />
    </Page>
  );
}
