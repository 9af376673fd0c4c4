import { Check, CircleX, X } from "lucide-react";
import { useTranslator } from "../../i18n";
import { Button, IconButton } from "../../ui/Button";
import { bytes } from "../../ui/format";
import { errorText } from "../../ui/Notice";
import { nameOf } from "./keys";
import type { Upload } from "./uploads";

interface Props {
  uploads: Upload[];
  onAgain(id: number, replace: boolean): void;
  onClear(): void;
}

/** How far the uploads of this page are, and what became of them. */
export function UploadList({ uploads, onAgain, onClear }: Props) {
  const { t } = useTranslator();
  if (uploads.length === 0) return null;
  const done = uploads.filter(({ state }) => state === "done").length;
  return (
    <section className="card uploads" aria-label={t("objects.uploads")}>
      <div className="row">
        <strong className="grow" aria-live="polite">
          {t("objects.uploaded", { done, all: uploads.length })}
        </strong>
        <IconButton label={t("objects.clearUploads")} small onPress={onClear}>
          <X size={14} aria-hidden />
        </IconButton>
      </div>
      <ul>
        {uploads.map((one) => (
          <li key={one.id} className="row wrap">
            <span className="grow ellipsis" title={one.key}>
              {nameOf(one.key)}
            </span>
            <span className="muted">{bytes(one.size)}</span>
            <UploadState upload={one} onAgain={onAgain} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function UploadState({ upload, onAgain }: { upload: Upload; onAgain: Props["onAgain"] }) {
  const { t } = useTranslator();
  const { id, key, size, sent, state, problem } = upload;
  switch (state) {
    case "done":
      return <Check size={16} role="img" aria-label={t("objects.done")} className="state-succeeded" />;
    case "exists":
      return (
        <>
          <span className="problem-of">{t("objects.exists")}</span>
          <Button small onPress={() => onAgain(id, true)}>
            {t("objects.replace")}
          </Button>
        </>
      );
    case "failed":
      return (
        <>
          <span className="problem-of row">
            <CircleX size={14} aria-hidden />
            {errorText(problem, t)}
          </span>
          <Button small onPress={() => onAgain(id, false)}>
            {t("action.tryAgain")}
          </Button>
        </>
      );
    default:
      return (
        <progress aria-label={t("objects.progress", { name: nameOf(key) })} max={Math.max(size, 1)} value={sent} />
      );
  }
}
