import { Download } from "lucide-react";
import { Link } from "react-router";
import type { Artifact } from "../../api/types";
import { useTranslator } from "../../i18n";
import { valueText } from "../../ui/format";

/** An artifact in short, as a task's input or output. */
export function ArtifactCard({ name, artifact }: { name: string; artifact: Artifact }) {
  const { t, number } = useTranslator();
  const metadata = Object.entries(artifact.metadata ?? {}).filter(([, value]) => typeof value !== "object");
  return (
    <article className="card stack" style={{ padding: 12, gap: 6 }}>
      <div className="row">
        <Link className="grow ellipsis" to={`/artifacts/${encodeURIComponent(artifact.artifact_id)}`}>
          {name}
        </Link>
        <span className="tag">{artifact.type}</span>
        {artifact.uri && (
          <a
            className="button quiet icon small"
            href={`/apis/penstock/v1/artifacts/${encodeURIComponent(artifact.artifact_id)}/download`}
            download
            aria-label={t("artifact.download", { name })}
            title={t("artifact.download", { name })}
          >
            <Download size={14} aria-hidden />
          </a>
        )}
      </div>
      {artifact.uri && (
        <code className="muted ellipsis" title={artifact.uri}>
          {artifact.uri}
        </code>
      )}
      {artifact.number_value !== undefined && (
        <strong>{number(artifact.number_value, { maximumSignificantDigits: 6 })}</strong>
      )}
      {metadata.length > 0 && (
        <dl className="facts">
          {metadata.map(([key, value]) => (
            <div key={key} style={{ display: "contents" }}>
              <dt>{key}</dt>
              <dd className="mono">{valueText(value)}</dd>
            </div>
          ))}
        </dl>
      )}
    </article>
  );
}
