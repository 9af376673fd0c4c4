import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { Trash2, Upload } from "lucide-react";
import { useMemo, useState } from "react";
import { Link, useNavigate } from "react-router";
import type { Predicate } from "../../api/client";
import { deletePipeline } from "../../api/pipelines";
import { pipelinesQuery } from "../../api/queries";
import type { Pipeline } from "../../api/types";
import { useTranslator } from "../../i18n";
import { Button, LinkButton } from "../../ui/Button";
import type { Column } from "../../ui/DataTable";
import { ConfirmDialog } from "../../ui/Dialog";
import { Empty } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { QueryTable } from "../../ui/QueryTable";
import { SearchField } from "../../ui/SearchField";
import { useUrlState } from "../../ui/useUrlState";
import { UploadDialog } from "./UploadDialog";

export function PipelinesPage() {
  const { t, time, ago } = useTranslator();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [name, setName] = useUrlState("q");
  const [sort, setSort] = useUrlState("sort", "created_at desc");
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [open, setOpen] = useState<"upload" | "delete">();
  const [dropped, setDropped] = useState<File>();
  const predicates: Predicate[] = name ? [{ key: "name", operation: "IS_SUBSTRING", value: name }] : [];
  const query = useInfiniteQuery(pipelinesQuery({ predicates, sort }));
  const pipelines = useMemo(() => query.data?.pages.flatMap(({ items }) => items) ?? [], [query.data]);
  const columns: Column<Pipeline>[] = [
    {
      id: "name",
      header: t("field.name"),
      sort: "name",
      cell: (pipeline) => <Link to={`/pipelines/${pipeline.pipeline_id}`}>{pipeline.display_name}</Link>,
    },
    { id: "description", header: t("field.description"), cell: (pipeline) => pipeline.description },
    {
      id: "tags",
      header: t("field.tags"),
      cell: (pipeline) =>
        Object.entries(pipeline.tags ?? {}).map(([key, value]) => (
          <span key={key} className="tag">
            {key}={value}
          </span>
        )),
    },
    {
      id: "created",
      header: t("field.created"),
      sort: "created_at",
      cell: (pipeline) => <span title={time(pipeline.created_at)}>{ago(pipeline.created_at)}</span>,
    },
    {
      id: "run",
      header: t("field.actions"),
      cell: (pipeline) => <Link to={`/runs/new?pipeline=${pipeline.pipeline_id}`}>{t("runs.new")}</Link>,
    },
  ];
  return (
    <Page
      title={t("pipelines.title")}
      actions={
        <>
          <LinkButton to="/editor">{t("pipelines.draw")}</LinkButton>
          <Button look="primary" onPress={() => setOpen("upload")}>
            <Upload size={15} aria-hidden />
            {t("pipelines.upload")}
          </Button>
        </>
      }
    >
      {/* biome-ignore lint/a11y/noStaticElementInteractions: dropping is beside the button that does the same */}
      <div
        className="page-part"
        onDragOver={(event) => event.preventDefault()}
        onDrop={(event) => {
          event.preventDefault();
          const file = event.dataTransfer.files[0];
          if (!file) return;
          setDropped(file);
          setOpen("upload");
        }}
      >
        <div className="toolbar">
          <SearchField label={t("pipelines.search")} value={name} onChange={setName} />
          <span className="grow" />
          <Button isDisabled={selected.size === 0} onPress={() => setOpen("delete")}>
            <Trash2 size={15} aria-hidden />
            {t("action.delete")}
          </Button>
        </div>
        <QueryTable
          query={query}
          total={query.data?.pages[0]?.total}
          label={t("pipelines.title")}
          items={pipelines}
          columns={columns}
          idOf={(pipeline) => pipeline.pipeline_id}
          sort={sort}
          onSort={setSort}
          selected={selected}
          onSelect={setSelected}
          empty={
            <Empty title={name ? t("runs.noMatch") : t("pipelines.none")}>
              <p>{t("pipelines.drop")}</p>
            </Empty>
          }
        />
      </div>
      {open === "upload" && (
        <UploadDialog
          file={dropped}
          onClose={() => {
            setOpen(undefined);
            setDropped(undefined);
          }}
          onUploaded={(pipeline) => navigate(`/pipelines/${pipeline}`)}
        />
      )}
      {open === "delete" && (
        <ConfirmDialog
          title={t("pipelines.delete.title", { count: selected.size })}
          action={t("action.delete")}
          danger
          onClose={() => setOpen(undefined)}
          onConfirm={async () => {
            await Promise.all([...selected].map(deletePipeline));
            setSelected(new Set());
            await queries.invalidateQueries({ queryKey: ["pipeline"] });
          }}
        >
          <p>{t("pipelines.delete.text")}</p>
        </ConfirmDialog>
      )}
    </Page>
  );
}
