import { useInfiniteQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link } from "react-router";
import { modelsQuery, type RegisteredModel } from "../../api/models";
import { useTranslator } from "../../i18n";
import type { Column } from "../../ui/DataTable";
import { Empty } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { QueryTable } from "../../ui/QueryTable";
import { SearchField } from "../../ui/SearchField";
import { Select } from "../../ui/Select";
import { useUrlState } from "../../ui/useUrlState";
import { When } from "./When";

export function ModelsPage() {
  const { t } = useTranslator();
  const [name, setName] = useUrlState("q");
  const [state, setState] = useUrlState("state", "LIVE");
  const [sort, setSort] = useUrlState("sort", "LAST_UPDATE_TIME desc");
  const query = useInfiniteQuery(modelsQuery({ state, name, sort }));
  const items = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  const columns: Column<RegisteredModel>[] = [
    {
      id: "name",
      header: t("field.name"),
      cell: (one) => <Link to={`/models/${encodeURIComponent(one.id)}`}>{one.name}</Link>,
    },
    { id: "description", header: t("field.description"), cell: (one) => one.description },
    { id: "owner", header: t("models.owner"), cell: (one) => one.owner },
    {
      id: "created",
      header: t("field.created"),
      sort: "CREATE_TIME",
      cell: (one) => <When time={one.createTimeSinceEpoch} />,
    },
    {
      id: "changed",
      header: t("models.changed"),
      sort: "LAST_UPDATE_TIME",
      cell: (one) => <When time={one.lastUpdateTimeSinceEpoch} />,
    },
  ];
  return (
    <Page title={t("models.title")}>
      <div className="toolbar">
        <SearchField label={t("models.search")} value={name} onChange={setName} />
        <Select
          label={t("field.state")}
          value={state}
          onChange={setState}
          options={(["LIVE", "ARCHIVED"] as const).map((id) => ({ id, label: t(`models.${id}`) }))}
        />
      </div>
      <QueryTable
        query={query}
        label={t("models.title")}
        items={items}
        columns={columns}
        idOf={(one) => one.id}
        sort={sort}
        onSort={setSort}
        empty={
          <Empty title={name || state !== "LIVE" ? t("runs.noMatch") : t("models.none")}>
            {!name && state === "LIVE" && <p>{t("models.how")}</p>}
          </Empty>
        }
      />
    </Page>
  );
}
