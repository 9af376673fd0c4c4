import { useQuery } from "@tanstack/react-query";
import { BookMarked, Download } from "lucide-react";
import { useMemo, useState } from "react";
import { Link, useParams } from "react-router";
import {
  artifactMetricsQuery,
  artifactQuery,
  downloadPath,
  lineageQuery,
  type Metrics,
  versionsOfArtifactQuery,
} from "../../api/artifacts";
import { originQuery } from "../../api/models";
import { featuresQuery } from "../../api/overview";
import type { Artifact } from "../../api/types";
import { useTranslator } from "../../i18n";
import { Button } from "../../ui/Button";
import { type Column, DataTable } from "../../ui/DataTable";
import { valueText } from "../../ui/format";
import { Empty, ErrorNotice, Loading } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { Select } from "../../ui/Select";
import { Tabs } from "../../ui/Tabs";
import { useUrlState } from "../../ui/useUrlState";
import { RegisterDialog } from "../models/RegisterDialog";
import { LineageGraph } from "./LineageGraph";
import { hasMetrics, MetricsView } from "./MetricsView";
import { PreviewPane } from "./PreviewPane";

export function ArtifactPage() {
  const { t } = useTranslator();
  const { artifact: id = "" } = useParams();
  const [tab, setTab] = useUrlState("tab");
  const query = useQuery(artifactQuery(id));
  const metrics = useQuery(artifactMetricsQuery(id));
  const crumbs = [{ to: "/artifacts", label: t("artifacts.title") }];
  if (!query.data)
    return (
      <Page title={t("artifact.title")} crumbs={crumbs}>
        {query.error ? <ErrorNotice error={query.error} onRetry={() => query.refetch()} /> : <Loading />}
      </Page>
    );
  const artifact = query.data;
  return (
    <Page
      title={artifact.name || id}
      crumbs={crumbs}
      beside={<span className="tag">{artifact.type}</span>}
      actions={
        artifact.uri && (
          <>
            {artifact.type === "Model" && <RegisterButton artifact={artifact} />}
            <a className="button" href={downloadPath(id)} download>
              <Download size={15} aria-hidden />
              {t("action.download")}
            </a>
          </>
        )
      }
    >
      <Tabs
        label={t("artifact.views")}
        selected={tab || (hasMetrics(metrics.data) ? "metrics" : "preview")}
        onSelect={setTab}
        tabs={[
          { id: "preview", label: t("artifact.preview"), content: () => <PreviewPane artifact={artifact} /> },
          ...(hasMetrics(metrics.data)
            ? [
                {
                  id: "metrics",
                  label: t("artifact.metrics"),
                  content: () => <MetricsView metrics={metrics.data as Metrics} />,
                },
              ]
            : []),
          { id: "lineage", label: t("artifact.lineage"), flush: true, content: () => <LineageTab id={id} /> },
          {
            id: "versions",
            label: t("artifact.versions"),
            flush: true,
            content: () => <Versions artifact={artifact} />,
          },
          { id: "details", label: t("run.details"), content: () => <Facts artifact={artifact} /> },
        ]}
      />
    </Page>
  );
}

/** Where the server has a registry, and a run made the model. */
function RegisterButton({ artifact }: { artifact: Artifact }) {
  const { t } = useTranslator();
  const [open, setOpen] = useState(false);
  const features = useQuery(featuresQuery);
  const origin = useQuery(originQuery(artifact.artifact_id));
  const run = origin.data?.run_id;
  if (!features.data?.sections.models || run === undefined) return null;
  return (
    <>
      <Button onPress={() => setOpen(true)}>
        <BookMarked size={15} aria-hidden />
        {t("models.register.do")}
      </Button>
      {open && (
        <RegisterDialog
          artifact={artifact.artifact_id}
          run={run}
          name={artifact.name ?? ""}
          onClose={() => setOpen(false)}
        />
      )}
    </>
  );
}

function LineageTab({ id }: { id: string }) {
  const { t } = useTranslator();
  const [direction, setDirection] = useUrlState("direction", "both");
  const [depth, setDepth] = useUrlState("depth", "5");
  const query = useQuery(lineageQuery({ artifact: id }, direction, Number(depth)));
  return (
    <div className="page-part">
      <div className="toolbar">
        <Select
          label={t("lineage.direction")}
          value={direction}
          onChange={setDirection}
          options={(["both", "upstream", "downstream"] as const).map((one) => ({
            id: one,
            label: t(`lineage.${one}`),
          }))}
        />
        <Select
          label={t("lineage.depth")}
          value={depth}
          onChange={setDepth}
          options={["1", "2", "5", "10", "50"].map((one) => ({ id: one, label: t("lineage.depthN", { count: one }) }))}
        />
        {query.data?.truncated && <span className="muted">{t("lineage.truncated")}</span>}
      </div>
      {query.error && <ErrorNotice error={query.error} onRetry={() => query.refetch()} />}
      {query.isPending && <Loading />}
      {query.data && <LineageGraph lineage={query.data} />}
    </div>
  );
}

function Versions({ artifact }: { artifact: Artifact }) {
  const { t, time } = useTranslator();
  const query = useQuery(versionsOfArtifactQuery(artifact.artifact_id));
  const columns: Column<Artifact>[] = useMemo(
    () => [
      {
        id: "id",
        header: t("field.id"),
        cell: (one) => <Link to={`/artifacts/${encodeURIComponent(one.artifact_id)}`}>{one.artifact_id}</Link>,
      },
      { id: "created", header: t("field.created"), cell: (one) => time(one.created_at) },
      { id: "metadata", header: t("artifact.metadata"), cell: (one) => <code>{valueText(one.metadata)}</code> },
      { id: "uri", header: t("artifact.uri"), cell: (one) => <code title={one.uri}>{one.uri}</code> },
    ],
    [t, time],
  );
  if (query.error) return <ErrorNotice error={query.error} onRetry={() => query.refetch()} />;
  if (!query.data) return <Loading />;
  return (
    <div className="page-part">
      <DataTable
        label={t("artifact.versions")}
        items={query.data.items}
        columns={columns}
        idOf={(one) => one.artifact_id}
        empty={<Empty title={t("artifacts.none")} />}
      />
    </div>
  );
}

function Facts({ artifact }: { artifact: Artifact }) {
  const { t, time } = useTranslator();
  return (
    <dl className="facts card">
      <dt>{t("field.id")}</dt>
      <dd className="mono">{artifact.artifact_id}</dd>
      <dt>{t("artifact.type")}</dt>
      <dd>{artifact.type}</dd>
      <dt>{t("artifact.uri")}</dt>
      <dd className="mono">{artifact.uri ?? "—"}</dd>
      <dt>{t("field.created")}</dt>
      <dd>{time(artifact.created_at)}</dd>
      {artifact.description && (
        <>
          <dt>{t("field.description")}</dt>
          <dd>{artifact.description}</dd>
        </>
      )}
      {Object.entries(artifact.metadata ?? {}).map(([key, value]) => (
        <div key={key} style={{ display: "contents" }}>
          <dt>{key}</dt>
          <dd>
            <pre>{valueText(value)}</pre>
          </dd>
        </div>
      ))}
    </dl>
  );
}
