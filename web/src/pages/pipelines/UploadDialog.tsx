import { useQueryClient } from "@tanstack/react-query";
import { FileUp } from "lucide-react";
import { useId, useState } from "react";
import { uploadPipeline, uploadVersion } from "../../api/pipelines";
import { useTranslator } from "../../i18n";
import { FormDialog } from "../../ui/Dialog";
import { bytes } from "../../ui/format";

interface Props {
  /** The pipeline that gets a new version; none for a new pipeline. */
  pipeline?: string;
  file?: File;
  onClose(): void;
  /** The pipeline's id, and the version's when it was one. */
  onUploaded(pipeline: string, version?: string): void;
}

export function UploadDialog({ pipeline, file: given, onClose, onUploaded }: Props) {
  const { t } = useTranslator();
  const queries = useQueryClient();
  const id = useId();
  const [file, setFile] = useState(given);
  const [name, setName] = useState(() => (given ? stem(given.name) : ""));
  const [description, setDescription] = useState("");

  function choose(next: File | undefined) {
    if (!next) return;
    setFile(next);
    if (name === "") setName(stem(next.name));
  }
  async function submit() {
    if (!file) throw new Error(t("upload.noFile"));
    const request = { file, name: name.trim(), description: description.trim() || undefined };
    if (pipeline === undefined) {
      const made = await uploadPipeline(request);
      await queries.invalidateQueries({ queryKey: ["pipeline"] });
      onUploaded(made.pipeline_id);
    } else {
      const made = await uploadVersion(pipeline, request);
      await queries.invalidateQueries({ queryKey: ["pipeline"] });
      onUploaded(pipeline, made.pipeline_version_id);
    }
  }
  return (
    <FormDialog
      title={pipeline === undefined ? t("pipelines.upload") : t("pipeline.uploadVersion")}
      action={t("action.upload")}
      onClose={onClose}
      onSubmit={submit}
    >
      <label
        className="drop"
        onDragOver={(event) => event.preventDefault()}
        onDrop={(event) => {
          event.preventDefault();
          choose(event.dataTransfer.files[0]);
        }}
      >
        <FileUp size={22} aria-hidden />
        <span>{file ? `${file.name} · ${bytes(file.size)}` : t("upload.choose")}</span>
        <input
          className="visually-hidden"
          type="file"
          accept=".yaml,.yml,.zip,.gz,.tgz,.json"
          onChange={(event) => choose(event.target.files?.[0])}
        />
      </label>
      <div className="field">
        <label htmlFor={`${id}-name`}>{t("field.name")}</label>
        <input id={`${id}-name`} value={name} maxLength={128} onChange={(event) => setName(event.target.value)} />
      </div>
      <div className="field">
        <label htmlFor={`${id}-description`}>{t("field.description")}</label>
        <input id={`${id}-description`} value={description} onChange={(event) => setDescription(event.target.value)} />
      </div>
    </FormDialog>
  );
}

const stem = (name: string) => name.replace(/\.(ya?ml|json|zip|tgz|tar\.gz|gz)$/i, "");
