import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Play, Trash2, Upload, X } from "lucide-react";
import { useMemo, useState } from "react";
import { useNavigate, useParams } from "react-router";
import { deletePipeline } from "../../api/pipelines";
import { pipelineQuery, versionQuery, versionsQuery } from "../../api/queries";
import type { PipelineVersion } from "../../api/types";
import { GraphView } from "../../graph/GraphView";
import type { SceneNode } from "../../graph/scene";
import { executorOf, type PipelineSpec } from "../../graph/spec";
import { shownSpecOf } from "../../graph/workflow";
import { useTranslator } from "../../i18n";
import { Button, IconButton, LinkButton } from "../../ui/Button";
import { ConfirmDialog } from "../../ui/Dialog";
import { valueText } from "../../ui/format";
import { Empty, ErrorNotice, Loading } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { Select } from "../../ui/Select";
import { SpecView } from "../../ui/SpecView";
import { Tabs } from "../../ui/Tabs";
import { useUrlState } from "../../ui/useUrlState";
import { UploadDialog } from "./UploadDialog";
import { VersionDiff } from "./VersionDiff";
import "../runs/panel.css";

export function PipelinePage() {
  const { t, time } = useTranslator();
  const { pipeline: id = "" } = useParams();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [versionId, setVersion] = useUrlState("version");
  const [tab, setTab] = useUrlState("tab", "graph");
  const [open, setOpen] = useState<"upload" | "delete">();
  const pipeline = useQuery(pipelineQuery(id));
  const versions = useInfiniteQuery(versionsQuery(id, { sort: "created_at desc", pageSize: 200 }));
  const list = useMemo(() => versions.data?.pages.flatMap(({ items }) => items) ?? [], [versions.data]);
  const shown = versionId || list[0]?.pipeline_version_id;
  const version = useQuery({ ...versionQuery(id, shown ?? ""), enabled: shown !== undefined });
  const crumbs = [{ to: "/pipelines", label: t("pipelines.title") }];

  if (!pipeline.data)
    return (
      <Page title={t("pipeline.title")} crumbs={crumbs}>
        {pipeline.error ? <ErrorNotice error={pipeline.error} onRetry={() => pipeline.refetch()} /> : <Loading />}
      </Page>
    );
  return (
    <Page
      title={pipeline.data.display_name}
      crumbs={crumbs}
      beside={Object.entries(pipeline.data.tags ?? {}).map(([key, value]) => (
        <span key={key} className="tag">
          {key}={value}
        </span>
      ))}
      actions={
        <>
          {list.length > 0 && (
            <Select
              label={t("pipeline.version")}
              value={shown ?? ""}
              onChange={setVersion}
              options={list.map((one) => ({ id: one.pipeline_version_id, label: one.display_name }))}
            />
          )}
          <Button onPress={() => setOpen("upload")}>
            <Upload size={15} aria-hidden />
            {t("pipeline.uploadVersion")}
          </Button>
          <Button onPress={() => setOpen("delete")}>
            <Trash2 size={15} aria-hidden />
            {t("action.delete")}
          </Button>
          {shown && (
            <LinkButton to={`/runs/new?pipeline=${id}&version=${shown}`} look="primary">
              <Play size={15} aria-hidden />
              {t("runs.new")}
            </LinkButton>
          )}
        </>
      }
    >
      {pipeline.data.description && <p className="muted">{pipeline.data.description}</p>}
      {version.data ? (
        <Tabs
          label={t("pipeline.views")}
          selected={tab}
          onSelect={setTab}
          tabs={[
            { id: "graph", label: t("run.graph"), flush: true, content: () => <VersionGraph version={version.data} /> },
            {
              id: "spec",
              label: t("pipeline.spec"),
              flush: true,
              content: () => <SpecView spec={version.data.pipeline_spec} name={version.data.display_name} />,
            },
            {
              id: "details",
              label: t("run.details"),
              content: () => (
                <dl className="facts card">
                  <dt>{t("pipeline.id")}</dt>
                  <dd className="mono">{id}</dd>
                  <dt>{t("pipeline.version")}</dt>
                  <dd className="mono">{version.data.pipeline_version_id}</dd>
                  <dt>{t("field.created")}</dt>
                  <dd>{time(version.data.created_at)}</dd>
                  <dt>{t("field.description")}</dt>
                  <dd>{version.data.description ?? "—"}</dd>
                  {version.data.code_source_url && (
                    <>
                      <dt>{t("pipeline.source")}</dt>
                      <dd>{version.data.code_source_url}</dd>
                    </>
                  )}
                </dl>
              ),
            },
            ...(list.length > 1
              ? [
                  {
                    id: "diff",
                    label: t("pipeline.diff"),
                    flush: true,
                    content: () => <VersionDiff pipeline={id} versions={list} version={version.data} />,
                  },
                ]
              : []),
          ]}
        />
      ) : version.error ? (
        <ErrorNotice error={version.error} onRetry={() => version.refetch()} />
      ) : versions.isSuccess && list.length === 0 ? (
        <Empty title={t("pipeline.noVersions")} />
      ) : (
        <Loading />
      )}
      {open === "upload" && (
        <UploadDialog
          pipeline={id}
          onClose={() => setOpen(undefined)}
          onUploaded={(_, made) => made && setVersion(made)}
        />
      )}
      {open === "delete" && (
        <ConfirmDialog
          title={t("pipelines.delete.title", { count: 1 })}
          action={t("action.delete")}
          danger
          onClose={() => setOpen(undefined)}
          onConfirm={async () => {
            await deletePipeline(id);
            await queries.invalidateQueries({ queryKey: ["pipeline", "list"] });
            navigate("/pipelines");
          }}
        >
          <p>{t("pipelines.delete.text")}</p>
        </ConfirmDialog>
      )}
    </Page>
  );
}

function VersionGraph({ version }: { version: PipelineVersion }) {
  const { t } = useTranslator();
  const [node, setNode] = useState<SceneNode>();
  const spec = useMemo(() => shownSpecOf(version.pipeline_spec), [version.pipeline_spec]);
  if (!spec) return <Empty title={t("run.noSpec")} />;
  return (
    <div className="split">
      <GraphView spec={spec} selected={node?.id} onSelect={setNode} />
      {node && <NodePanel spec={spec} node={node} onClose={() => setNode(undefined)} />}
    </div>
  );
}

/** What the specification says of one task. */
function NodePanel({ spec, node: { node }, onClose }: { spec: PipelineSpec; node: SceneNode; onClose(): void }) {
  const { t } = useTranslator();
  const executor = executorOf(spec, node.component)?.container;
  const sides = [
    [t("field.inputs"), node.component.inputDefinitions],
    [t("field.outputs"), node.component.outputDefinitions],
  ] as const;
  return (
    <aside className="panel" aria-label={t("task.panel", { name: node.label })}>
      <div className="row">
        <h2 className="grow ellipsis">{node.label}</h2>
        <IconButton label={t("action.close")} onPress={onClose}>
          <X size={16} aria-hidden />
        </IconButton>
      </div>
      {node.condition && <pre className="code-block">{node.condition}</pre>}
      {sides.map(([title, definitions]) => (
        <section key={title} className="stack">
          <h3>{title}</h3>
          <dl className="facts">
            {Object.entries(definitions?.parameters ?? {}).map(([name, parameter]) => (
              <div key={name} style={{ display: "contents" }}>
                <dt>{name}</dt>
                <dd>
                  {parameter.parameterType ?? parameter.type}
                  {parameter.defaultValue !== undefined && <code> = {valueText(parameter.defaultValue)}</code>}
                  {parameter.description && <div className="muted">{parameter.description}</div>}
                </dd>
              </div>
            ))}
            {Object.entries(definitions?.artifacts ?? {}).map(([name, artifact]) => (
              <div key={name} style={{ display: "contents" }}>
                <dt>{name}</dt>
                <dd>{artifact.artifactType?.schemaTitle}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
      {executor && (
        <section className="stack">
          <h3>{t("task.command")}</h3>
          <p className="mono">{executor.image}</p>
          <pre className="code-block">{[...(executor.command ?? []), ...(executor.args ?? [])].join("\n")}</pre>
        </section>
      )}
    </aside>
  );
}
