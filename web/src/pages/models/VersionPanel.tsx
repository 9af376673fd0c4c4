import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Archive, ArchiveRestore, Plus, X } from "lucide-react";
import { useState } from "react";
import { Link } from "react-router";
import {
  type Alias,
  artifactAtQuery,
  changeVersion,
  type ModelArtifact,
  type ModelVersion,
  modelArtifactsQuery,
  modelVersionQuery,
  removeAlias,
  setAlias,
} from "../../api/models";
import { useTranslator } from "../../i18n";
import { Button, IconButton } from "../../ui/Button";
import { ErrorNotice, errorText, Loading } from "../../ui/Notice";
import { toast } from "../../ui/toasts";
import { bucketLink, folderOf } from "../objects/keys";
import { PropertiesEdit } from "./PropertiesEdit";
import { propertyText } from "./properties";
import { When } from "./When";

interface Props {
  model: string;
  id: string;
  aliases: Alias[];
  onClose(): void;
}

/** One version of a model: what it is called, where it came from, and what is known of it. */
export function VersionPanel({ model, id, aliases, onClose }: Props) {
  const { t } = useTranslator();
  const queries = useQueryClient();
  const query = useQuery(modelVersionQuery(id));
  const artifacts = useQuery(modelArtifactsQuery(id));
  async function change(work: () => Promise<unknown>) {
    try {
      await work();
      await queries.invalidateQueries({ queryKey: ["model"] });
    } catch (error) {
      toast(errorText(error, t), true);
    }
  }
  const version = query.data;
  return (
    <aside className="panel" aria-label={t("models.panel", { name: version?.name ?? id })}>
      <div className="row">
        <h2 className="grow ellipsis">{version?.name ?? id}</h2>
        <IconButton label={t("action.close")} onPress={onClose}>
          <X size={16} aria-hidden />
        </IconButton>
      </div>
      {query.error && <ErrorNotice error={query.error} onRetry={() => query.refetch()} />}
      {query.isPending && <Loading />}
      {version && (
        <>
          <VersionHead version={version} onChange={(part) => change(() => changeVersion(id, part))} />
          <Aliases
            mine={aliases.filter(({ model_version_id }) => model_version_id === id).map(({ alias }) => alias)}
            onAdd={(alias) => change(() => setAlias(model, alias, id))}
            onRemove={(alias) => change(() => removeAlias(model, alias))}
          />
          <section className="stack" aria-label={t("models.artifacts")}>
            <h3>{t("models.artifacts")}</h3>
            {artifacts.error && <ErrorNotice error={artifacts.error} onRetry={() => artifacts.refetch()} />}
            {artifacts.data?.length === 0 && <p className="muted">{t("models.noArtifacts")}</p>}
            {artifacts.data?.map((one) => (
              <ArtifactOf key={one.id} artifact={one} />
            ))}
          </section>
          <PropertiesEdit
            properties={version.customProperties ?? {}}
            onChange={(customProperties) => change(() => changeVersion(id, { customProperties }))}
          />
        </>
      )}
    </aside>
  );
}

function VersionHead({ version, onChange }: { version: ModelVersion; onChange(part: Partial<ModelVersion>): void }) {
  const { t } = useTranslator();
  const archived = version.state === "ARCHIVED";
  return (
    <>
      <div className="row wrap">
        <span className="tag">{t(`models.${version.state}`)}</span>
        <span className="muted">
          {version.author} <When time={version.createTimeSinceEpoch} />
        </span>
        <span className="grow" />
        <Button small onPress={() => onChange({ state: archived ? "LIVE" : "ARCHIVED" })}>
          {archived ? <ArchiveRestore size={13} aria-hidden /> : <Archive size={13} aria-hidden />}
          {archived ? t("action.restore") : t("action.archive")}
        </Button>
      </div>
      {version.description && <p>{version.description}</p>}
    </>
  );
}

interface AliasProps {
  mine: string[];
  onAdd(alias: string): Promise<void>;
  onRemove(alias: string): Promise<void>;
}

function Aliases({ mine, onAdd, onRemove }: AliasProps) {
  const { t } = useTranslator();
  const [alias, setAliasText] = useState("");
  return (
    <section className="stack" aria-label={t("models.aliases")}>
      <h3>{t("models.aliases")}</h3>
      {mine.length > 0 && (
        <div className="row wrap">
          {mine.map((one) => (
            <span key={one} className="tag row">
              {one}
              <IconButton small label={t("models.removeAlias", { name: one })} onPress={() => onRemove(one)}>
                <X size={12} aria-hidden />
              </IconButton>
            </span>
          ))}
        </div>
      )}
      <form
        className="row"
        onSubmit={async (event) => {
          event.preventDefault();
          await onAdd(alias.trim());
          setAliasText("");
        }}
      >
        <input
          className="input"
          aria-label={t("models.alias")}
          placeholder={t("models.alias")}
          required
          value={alias}
          onChange={(event) => setAliasText(event.target.value)}
        />
        <Button type="submit">
          <Plus size={14} aria-hidden />
          {t("models.add")}
        </Button>
      </form>
    </section>
  );
}

/** Where an object of this server's store is shown. */
function placeOf(uri: string): string | undefined {
  const [, bucket, key = ""] = /^(?:s3|minio):\/\/([^/?]+)\/?([^?]*)/.exec(uri) ?? [];
  if (bucket === undefined) return undefined;
  const object = key !== "" && !key.endsWith("/") ? key : undefined;
  return bucketLink(bucket, { prefix: object ? folderOf(object) : key, object });
}

function ArtifactOf({ artifact }: { artifact: ModelArtifact }) {
  const { t } = useTranslator();
  const { uri = "", modelFormatName, modelFormatVersion, modelSourceKind, modelSourceId, modelSourceName } = artifact;
  const made = useQuery({ ...artifactAtQuery(uri), enabled: uri !== "" });
  const place = placeOf(uri);
  return (
    <article className="card stack">
      <div className="row wrap">
        <strong className="grow">{artifact.name}</strong>
        <span className="tag">{artifact.artifactType}</span>
        {modelFormatName && (
          <span className="tag">
            {modelFormatName} {modelFormatVersion}
          </span>
        )}
      </div>
      {uri && (place ? <Link to={place}>{uri}</Link> : <code>{uri}</code>)}
      <div className="row wrap">
        {modelSourceKind === "kfp" && modelSourceId && (
          <Link to={`/runs/${encodeURIComponent(modelSourceId)}`}>
            {t("models.ofRun", { name: modelSourceName || modelSourceId })}
          </Link>
        )}
        {made.data && (
          <Link to={`/artifacts/${encodeURIComponent(made.data.artifact_id)}?tab=lineage`}>{t("models.lineage")}</Link>
        )}
      </div>
      <dl className="facts">
        {Object.entries(artifact.customProperties ?? {}).map(([name, property]) => (
          <div key={name} style={{ display: "contents" }}>
            <dt>{name}</dt>
            <dd>{propertyText(property)}</dd>
          </div>
        ))}
      </dl>
    </article>
  );
}
