import { useQuery } from "@tanstack/react-query";
import { diffLines } from "diff";
import { useMemo, useState } from "react";
import { stringify } from "yaml";
import { versionQuery } from "../../api/queries";
import type { PipelineVersion } from "../../api/types";
import { useTranslator } from "../../i18n";
import { ErrorNotice, Loading } from "../../ui/Notice";
import { Select } from "../../ui/Select";

interface Props {
  pipeline: string;
  versions: PipelineVersion[];
  version: PipelineVersion;
}

const around = 3;

/** What changed between another version and the one that is shown, with a few lines around each change. */
export function VersionDiff({ pipeline, versions, version }: Props) {
  const { t } = useTranslator();
  const others = versions.filter((one) => one.pipeline_version_id !== version.pipeline_version_id);
  const older = others.find((one) => one.created_at <= version.created_at) ?? others[0];
  const [chosen, setChosen] = useState(older?.pipeline_version_id ?? "");
  const other = useQuery(versionQuery(pipeline, chosen));
  const parts = useMemo(
    () =>
      other.data &&
      diffLines(
        stringify(other.data.pipeline_spec, { lineWidth: 0 }),
        stringify(version.pipeline_spec, { lineWidth: 0 }),
      ),
    [other.data, version],
  );
  return (
    <div className="page-part">
      <div className="toolbar">
        <span>{t("pipeline.diffWith")}</span>
        <Select
          label={t("pipeline.diffWith")}
          value={chosen}
          onChange={setChosen}
          options={others.map((one) => ({ id: one.pipeline_version_id, label: one.display_name }))}
        />
      </div>
      {other.error && <ErrorNotice error={other.error} />}
      {!parts ? (
        <Loading />
      ) : parts.every(({ added, removed }) => !added && !removed) ? (
        <p className="muted">{t("pipeline.noDiff")}</p>
      ) : (
        <pre className="code-block grow diff" tabIndex={0}>
          {parts.map(({ value, added, removed }, index) => {
            const lines = value.replace(/\n$/, "").split("\n");
            const sign = added ? "+" : removed ? "-" : " ";
            const shown =
              added || removed || lines.length <= 2 * around + 1
                ? lines
                : [
                    ...(index > 0 ? lines.slice(0, around) : []),
                    "…",
                    ...(index < parts.length - 1 ? lines.slice(-around) : []),
                  ];
            return (
              <span key={index} className={added ? "added" : removed ? "removed" : undefined}>
                {shown.map((line) => `${line === "…" ? "  " : `${sign} `}${line}\n`).join("")}
              </span>
            );
          })}
        </pre>
      )}
    </div>
  );
}
