import { useInfiniteQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link } from "react-router";
import { artifactsQuery } from "../../api/artifacts";
import type { Predicate } from "../../api/client";
import type { Artifact } from "../../api/types";
import { useTranslator } from "../../i18n";
import type { Column } from "../../ui/DataTable";
import { Empty } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { QueryTable } from "../../ui/QueryTable";
import { SearchField } from "../../ui/SearchField";
import { Select } from "../../ui/Select";
import { useUrlState } from "../../ui/useUrlState";

const types = [
  "Artifact",
  "Dataset",
  "Model",
  "Metric",
  "ClassificationMetric",
  "SlicedClassificationMetric",
  "HTML",
  "Markdown",
];

export function ArtifactsPage() {
  const { t, time, ago } = useTranslator();
  const [name, setName] = useUrlState("q");
  const [type, setType] = useUrlState("type");
  const [sort, setSort] = useUrlState("sort", "created_at desc");
  const predicates: Predicate[] = [];
  if (name) predicates.push({ key: "name", operation: "IS_SUBSTRING", value: name });
  if (type) predicates.push({ key: "type", operation: "EQUALS", value: type });
  const query = useInfiniteQuery(artifactsQuery({ predicates, sort }));
  const items = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  const columns: Column<Artifact>[] = [
    {
      id: "name",
      header: t("field.name"),
      sort: "name",
      cell: (one) => (
        <Link to={`/artifacts/${encodeURIComponent(one.artifact_id)}`}>{one.name || one.artifact_id}</Link>
      ),
    },
    { id: "type", header: t("artifact.type"), sort: "type", cell: (one) => one.type },
    {
      id: "uri",
      header: t("artifact.uri"),
      cell: (one) => <code title={one.uri}>{one.uri}</code>,
    },
    {
      id: "created",
      header: t("field.created"),
      sort: "created_at",
      cell: (one) => <span title={time(one.created_at)}>{ago(one.created_at)}</span>,
    },
  ];
  return (
    <Page title={t("artifacts.title")}>
      <div className="toolbar">
        <SearchField label={t("artifacts.search")} value={name} onChange={setName} />
        <Select
          label={t("artifact.type")}
          value={type}
          onChange={setType}
          options={[{ id: "", label: t("artifacts.anyType") }, ...types.map((id) => ({ id, label: id }))]}
        />
      </div>
      <QueryTable
        query={query}
        total={query.data?.pages[0]?.total}
        label={t("artifacts.title")}
        items={items}
        columns={columns}
        idOf={(one) => one.artifact_id}
        sort={sort}
        onSort={setSort}
        empty={<Empty title={name || type ? t("runs.noMatch") : t("artifacts.none")} />}
      />
    </Page>
  );
}
