import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { type ApiResource, kindsQuery, namespacesQuery, type TableRow, tableQuery, watch } from "../../api/kube";
import { useTranslator } from "../../i18n";
import { Button } from "../../ui/Button";
import { type Column, DataTable } from "../../ui/DataTable";
import { valueText } from "../../ui/format";
import { Empty, ErrorNotice, Loading } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { SearchField } from "../../ui/SearchField";
import { Select } from "../../ui/Select";
import { useUrlState } from "../../ui/useUrlState";
import { NewObjectDialog } from "./NewObjectDialog";

const idOf = ({ groupVersion, name }: ApiResource) =>
  groupVersion === "v1" ? name : `${name}.${groupVersion.split("/")[0]}`;

/** The kind that the address names, as `pods` or `inferenceservices.serving.kserve.io`. */
export function useKind() {
  const { kind = "pods" } = useParams();
  const query = useQuery(kindsQuery);
  return { query, kind, resource: query.data?.find((one) => idOf(one) === kind) };
}

/** The objects of one kind, as `kubectl get` shows them. */
export function ResourcesPage() {
  const { t } = useTranslator();
  const navigate = useNavigate();
  const { query, kind, resource } = useKind();
  const [namespace, setNamespace] = useUrlState("namespace");
  const [search, setSearch] = useUrlState("q");
  const [making, setMaking] = useState(false);
  const namespaces = useQuery(namespacesQuery);
  return (
    <Page
      title={resource?.kind ?? t("resources.title")}
      actions={
        resource?.verbs.includes("create") && (
          <Button onPress={() => setMaking(true)}>
            <Plus size={15} aria-hidden />
            {t("action.create")}
          </Button>
        )
      }
    >
      <div className="toolbar">
        <Select
          label={t("resources.kind")}
          value={kind}
          onChange={(id) => navigate(`/resources/${id}${namespace ? `?namespace=${namespace}` : ""}`)}
          options={(query.data ?? []).map((one) => ({ id: idOf(one), label: one.kind }))}
        />
        {resource?.namespaced && (
          <Select
            label={t("resources.namespace")}
            value={namespace}
            onChange={setNamespace}
            options={[
              { id: "", label: t("resources.allNamespaces") },
              ...(namespaces.data ?? []).map((name) => ({ id: name, label: name })),
            ]}
          />
        )}
        <SearchField label={t("resources.search")} value={search} onChange={setSearch} />
      </div>
      {query.error ? (
        <ErrorNotice error={query.error} onRetry={() => query.refetch()} />
      ) : resource ? (
        <ResourceTable resource={resource} namespace={resource.namespaced ? namespace : ""} search={search} />
      ) : query.isPending ? (
        <Loading />
      ) : (
        <Empty title={t("resources.noKind", { kind })} />
      )}
      {making && resource && (
        <NewObjectDialog resource={resource} namespace={namespace || "default"} onClose={() => setMaking(false)} />
      )}
    </Page>
  );
}

function ResourceTable({ resource, namespace, search }: { resource: ApiResource; namespace: string; search: string }) {
  const { t } = useTranslator();
  const queries = useQueryClient();
  const query = useQuery(tableQuery(resource, namespace));
  const version = query.data?.resourceVersion;
  useEffect(() => {
    if (version === undefined || !resource.verbs.includes("watch")) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stale = () => {
      timer ??= setTimeout(() => {
        void queries.invalidateQueries({ queryKey: ["resource", "table", resource.groupVersion, resource.name] });
      }, 250);
    };
    // When the watch ends of itself, what it missed is asked for, with a new watch after it.
    watch(resource, namespace, version, stop.signal, stale).then(stale, () => undefined);
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [resource, namespace, version, queries]);
  const rows = useMemo(() => {
    const wanted = search.toLowerCase();
    return (query.data?.rows ?? []).filter(({ name }) => name.toLowerCase().includes(wanted));
  }, [query.data, search]);
  if (query.error) return <ErrorNotice error={query.error} onRetry={() => query.refetch()} />;
  if (!query.data) return <Loading />;
  const columns: Column<TableRow>[] = query.data.columns.flatMap(({ name: header, priority }, index) =>
    priority > 0
      ? []
      : [
          {
            id: header,
            header,
            cell: (row: TableRow) =>
              index === 0 ? (
                <Link
                  to={`/resources/${idOf(resource)}/${encodeURIComponent(row.namespace ?? "-")}/${encodeURIComponent(row.name)}`}
                >
                  {row.name}
                </Link>
              ) : (
                valueText(row.cells[index])
              ),
          },
        ],
  );
  if (resource.namespaced && namespace === "")
    columns.splice(1, 0, { id: "namespace", header: t("resources.namespace"), cell: (row) => row.namespace });
  return (
    <DataTable
      label={resource.kind}
      items={rows}
      columns={columns}
      idOf={(row) => `${row.namespace} ${row.name}`}
      empty={<Empty title={search ? t("runs.noMatch") : t("resources.none")} />}
    />
  );
}
