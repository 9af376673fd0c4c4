import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Archive, ArchiveRestore } from "lucide-react";
import { useMemo } from "react";
import { Link, useParams } from "react-router";
import {
  aliasesQuery,
  changeModel,
  type Deployment,
  deploymentsQuery,
  type ModelVersion,
  modelQuery,
  modelVersionsQuery,
  type RegisteredModel,
} from "../../api/models";
import { useTranslator } from "../../i18n";
import { Button } from "../../ui/Button";
import type { Column } from "../../ui/DataTable";
import { Empty, ErrorNotice, errorText, Loading } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { QueryTable } from "../../ui/QueryTable";
import { Tabs } from "../../ui/Tabs";
import { toast } from "../../ui/toasts";
import { useUrlState } from "../../ui/useUrlState";
import { PropertiesEdit } from "./PropertiesEdit";
import { VersionPanel } from "./VersionPanel";
import { When } from "./When";
import "../runs/panel.css";

export function ModelPage() {
  const { t } = useTranslator();
  const queries = useQueryClient();
  const { model: id = "" } = useParams();
  const [tab, setTab] = useUrlState("tab", "versions");
  const query = useQuery(modelQuery(id));
  const crumbs = [{ to: "/models", label: t("models.title") }];
  if (!query.data)
    return (
      <Page title={t("models.model")} crumbs={crumbs}>
        {query.error ? <ErrorNotice error={query.error} onRetry={() => query.refetch()} /> : <Loading />}
      </Page>
    );
  const model = query.data;
  const archived = model.state === "ARCHIVED";
  async function change(part: Partial<RegisteredModel>) {
    try {
      await changeModel(id, part);
      await queries.invalidateQueries({ queryKey: ["model"] });
    } catch (error) {
      toast(errorText(error, t), true);
    }
  }
  return (
    <Page
      title={model.name}
      crumbs={crumbs}
      beside={archived && <span className="tag">{t("models.ARCHIVED")}</span>}
      actions={
        <Button onPress={() => change({ state: archived ? "LIVE" : "ARCHIVED" })}>
          {archived ? <ArchiveRestore size={15} aria-hidden /> : <Archive size={15} aria-hidden />}
          {archived ? t("action.restore") : t("action.archive")}
        </Button>
      }
    >
      {model.description && <p>{model.description}</p>}
      <Tabs
        label={t("models.views")}
        selected={tab}
        onSelect={setTab}
        tabs={[
          { id: "versions", label: t("models.versions"), flush: true, content: () => <Versions model={id} /> },
          { id: "deployments", label: t("models.deployments"), content: () => <Deployments model={id} /> },
          {
            id: "details",
            label: t("run.details"),
            content: () => (
              <div className="stack">
                <ModelFacts model={model} />
                <PropertiesEdit
                  properties={model.customProperties ?? {}}
                  onChange={(customProperties) => change({ customProperties })}
                />
              </div>
            ),
          },
        ]}
      />
    </Page>
  );
}

function ModelFacts({ model }: { model: RegisteredModel }) {
  const { t } = useTranslator();
  return (
    <dl className="facts card">
      <dt>{t("field.id")}</dt>
      <dd className="mono">{model.id}</dd>
      <dt>{t("models.owner")}</dt>
      <dd>{model.owner ?? "—"}</dd>
      <dt>{t("field.created")}</dt>
      <dd>
        <When time={model.createTimeSinceEpoch} />
      </dd>
      <dt>{t("models.changed")}</dt>
      <dd>
        <When time={model.lastUpdateTimeSinceEpoch} />
      </dd>
    </dl>
  );
}

function Versions({ model }: { model: string }) {
  const { t } = useTranslator();
  const [selected, setSelected] = useUrlState("version");
  const query = useInfiniteQuery(modelVersionsQuery(model));
  const aliases = useQuery(aliasesQuery(model));
  const items = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  const columns: Column<ModelVersion>[] = [
    {
      id: "name",
      header: t("models.version"),
      cell: (one) => (
        <button type="button" className="link" onClick={() => setSelected(one.id)}>
          {one.name}
        </button>
      ),
    },
    {
      id: "aliases",
      header: t("models.aliases"),
      cell: (one) => (
        <span className="row">
          {aliases.data
            ?.filter(({ model_version_id }) => model_version_id === one.id)
            .map(({ alias }) => (
              <span key={alias} className="tag">
                {alias}
              </span>
            ))}
        </span>
      ),
    },
    { id: "state", header: t("field.state"), cell: (one) => t(`models.${one.state}`) },
    { id: "author", header: t("models.author"), cell: (one) => one.author },
    { id: "created", header: t("field.created"), cell: (one) => <When time={one.createTimeSinceEpoch} /> },
  ];
  return (
    <div className="split">
      <div className="page-part">
        <QueryTable
          query={query}
          label={t("models.versions")}
          items={items}
          columns={columns}
          idOf={(one) => one.id}
          empty={<Empty title={t("models.noVersions")} />}
        />
      </div>
      {selected && (
        <VersionPanel
          key={selected}
          model={model}
          id={selected}
          aliases={aliases.data ?? []}
          onClose={() => setSelected("")}
        />
      )}
    </div>
  );
}

function Deployments({ model }: { model: string }) {
  const { t } = useTranslator();
  const query = useQuery(deploymentsQuery(model));
  if (query.error) return <ErrorNotice error={query.error} onRetry={() => query.refetch()} />;
  if (!query.data) return <Loading />;
  if (query.data.length === 0) return <Empty title={t("models.notServed")} />;
  return (
    <ul className="stack" style={{ listStyle: "none", padding: 0, margin: 0 }}>
      {query.data.map((one) => (
        <li key={`${one.source}/${one.namespace ?? ""}/${one.name ?? one.inference_service?.id}`} className="card">
          <DeploymentLine deployment={one} />
        </li>
      ))}
    </ul>
  );
}

function DeploymentLine({ deployment }: { deployment: Deployment }) {
  const { t } = useTranslator();
  const { source, namespace = "", name, url, ready, inference_service, desired_state, model_version_id } = deployment;
  const kserve = "/resources/inferenceservices.serving.kserve.io";
  return (
    <div className="row wrap">
      {source === "kserve" ? (
        <Link to={`${kserve}/${encodeURIComponent(namespace)}/${encodeURIComponent(name ?? "")}`}>
          {namespace}/{name}
        </Link>
      ) : (
        <strong>{inference_service?.name}</strong>
      )}
      <span className="tag">
        {source === "kserve" ? t(ready ? "models.ready" : "models.notReady") : (desired_state ?? "")}
      </span>
      <span className="muted">{model_version_id ? t("models.ofVersion", { id: model_version_id }) : ""}</span>
      {url && <code>{url}</code>}
    </div>
  );
}
