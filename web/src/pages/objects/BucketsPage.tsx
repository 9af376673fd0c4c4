import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus, Trash2 } from "lucide-react";
import { useId, useState } from "react";
import { Link, useNavigate } from "react-router";
import { type Bucket, bucketsQuery, createBucket, deleteBucket } from "../../api/objects";
import { useTranslator } from "../../i18n";
import { Button, IconButton } from "../../ui/Button";
import { type Column, DataTable } from "../../ui/DataTable";
import { ConfirmDialog, FormDialog } from "../../ui/Dialog";
import { Empty, ErrorNotice, Loading } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { SearchField } from "../../ui/SearchField";
import { useUrlState } from "../../ui/useUrlState";

export function BucketsPage() {
  const { t, time, ago } = useTranslator();
  const queries = useQueryClient();
  const [name, setName] = useUrlState("q");
  const [making, setMaking] = useState(false);
  const [deleting, setDeleting] = useState<string>();
  const query = useQuery(bucketsQuery);
  const items = (query.data ?? []).filter((one) => one.name.includes(name));
  const columns: Column<Bucket>[] = [
    {
      id: "name",
      header: t("objects.bucket"),
      cell: (one) => <Link to={`/objects/${encodeURIComponent(one.name)}`}>{one.name}</Link>,
    },
    { id: "versioning", header: t("objects.versions"), cell: (one) => t(`objects.versioning.${one.versioning}`) },
    {
      id: "created",
      header: t("field.created"),
      cell: (one) => <span title={time(one.created_at)}>{ago(one.created_at)}</span>,
    },
    {
      id: "actions",
      header: t("field.actions"),
      width: "80px",
      cell: (one) => (
        <IconButton small label={t("objects.deleteBucket", { name: one.name })} onPress={() => setDeleting(one.name)}>
          <Trash2 size={15} aria-hidden />
        </IconButton>
      ),
    },
  ];
  return (
    <Page
      title={t("objects.title")}
      actions={
        <Button look="primary" onPress={() => setMaking(true)}>
          <Plus size={15} aria-hidden />
          {t("objects.newBucket")}
        </Button>
      }
    >
      <div className="toolbar">
        <SearchField label={t("objects.searchBuckets")} value={name} onChange={setName} delay={0} />
      </div>
      {query.error ? (
        <ErrorNotice error={query.error} onRetry={() => query.refetch()} />
      ) : query.isPending ? (
        <Loading />
      ) : (
        <DataTable
          label={t("objects.title")}
          items={items}
          columns={columns}
          idOf={(one) => one.name}
          empty={<Empty title={name ? t("runs.noMatch") : t("objects.noBuckets")} />}
        />
      )}
      {making && <NewBucketDialog onClose={() => setMaking(false)} />}
      {deleting !== undefined && (
        <ConfirmDialog
          title={t("objects.deleteBucket", { name: deleting })}
          action={t("action.delete")}
          danger
          onClose={() => setDeleting(undefined)}
          onConfirm={async () => {
            await deleteBucket(deleting);
            await queries.invalidateQueries({ queryKey: ["bucket", "list"] });
          }}
        >
          <p>{t("objects.deleteBucket.text")}</p>
        </ConfirmDialog>
      )}
    </Page>
  );
}

function NewBucketDialog({ onClose }: { onClose(): void }) {
  const { t } = useTranslator();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const id = useId();
  const [name, setName] = useState("");
  const [versions, setVersions] = useState(false);
  async function submit() {
    const made = await createBucket(name.trim(), versions);
    await queries.invalidateQueries({ queryKey: ["bucket", "list"] });
    navigate(`/objects/${encodeURIComponent(made.name)}`);
  }
  return (
    <FormDialog title={t("objects.newBucket")} action={t("action.create")} onClose={onClose} onSubmit={submit}>
      <div className="field">
        <label htmlFor={`${id}-name`}>{t("field.name")}</label>
        <input
          id={`${id}-name`}
          required
          minLength={3}
          maxLength={63}
          aria-describedby={`${id}-help`}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <span className="help" id={`${id}-help`}>
          {t("objects.bucketName")}
        </span>
      </div>
      <label className="row">
        <input type="checkbox" checked={versions} onChange={(event) => setVersions(event.target.checked)} />
        {t("objects.keepVersions")}
      </label>
    </FormDialog>
  );
}
