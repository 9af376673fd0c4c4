import { Download } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { stringify } from "yaml";
import type { JsonObject } from "../api/types";
import { useTranslator } from "../i18n";

/** A compiled pipeline as the YAML that `kfp` writes, to read and to save. */
export function SpecView({ spec, name }: { spec: JsonObject | undefined; name: string }) {
  const { t } = useTranslator();
  const text = useMemo(() => {
    if (!spec) return "";
    const documents = spec.pipeline_spec ? [spec.pipeline_spec, spec.platform_spec].filter(Boolean) : [spec];
    return documents.map((document) => stringify(document, { lineWidth: 0 })).join("---\n");
  }, [spec]);
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([text], { type: "application/yaml" }));
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [text]);
  return (
    <div className="page-part">
      <div className="toolbar">
        <a className="button" href={url} download={`${name}.yaml`}>
          <Download size={15} aria-hidden />
          {t("action.download")}
        </a>
      </div>
      <pre className="code-block grow" tabIndex={0} style={{ whiteSpace: "pre", overflowWrap: "normal" }}>
        {text}
      </pre>
    </div>
  );
}
