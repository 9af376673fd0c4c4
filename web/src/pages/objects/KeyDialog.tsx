import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { useNavigate } from "react-router";
import { copyObject, refreshLists, uploadObject } from "../../api/objects";
import { useTranslator } from "../../i18n";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { errorText } from "../../ui/Notice";
import { bucketLink } from "./keys";

interface Props {
  bucket: string;
  prefix: string;
  /** The object that is copied or moved to the key; none for a new folder. */
  source?: { key: string; version?: string; move: boolean };
  onClose(): void;
  onDone?(key: string): void;
}

/** Asks for a key: of a new folder, or of an object's copy. */
export function KeyDialog({ bucket, prefix, source, onClose, onDone }: Props) {
  const { t } = useTranslator();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const id = useId();
  const [name, setName] = useState(source?.key ?? "");
  const [problem, setProblem] = useState<string>();
  const [busy, setBusy] = useState(false);
  const title = t(source === undefined ? "objects.newFolder" : source.move ? "objects.rename" : "objects.copy");
  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    try {
      if (source === undefined) {
        const folder = `${prefix}${name.replace(/\/+$/, "")}/`;
        // As other S3 browsers: an empty object is what shows a folder that holds nothing yet.
        await uploadObject({ bucket, key: folder, body: new Blob([]), replace: false });
        await queries.invalidateQueries({ queryKey: ["bucket"] });
        navigate(bucketLink(bucket, { prefix: folder }));
      } else {
        await copyObject(bucket, {
          source_key: source.key,
          source_version_id: source.version,
          key: name,
          move: source.move,
          // An older version takes the place of what came after it.
          replace: source.version !== undefined,
        });
        onDone?.(name);
        await (source.move ? refreshLists(queries) : queries.invalidateQueries({ queryKey: ["bucket"] }));
      }
      onClose();
    } catch (error) {
      setProblem(errorText(error, t));
      setBusy(false);
    }
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <form className="stack" onSubmit={submit}>
        <div className="field">
          <label htmlFor={`${id}-key`}>{t(source === undefined ? "field.name" : "objects.key")}</label>
          <input id={`${id}-key`} required value={name} onChange={(event) => setName(event.target.value)} />
          {source === undefined && <span className="help">{prefix}</span>}
        </div>
        {problem !== undefined && (
          <p role="alert" className="problem-text">
            {problem}
          </p>
        )}
        <div className="buttons">
          <Button onPress={onClose}>{t("action.cancel")}</Button>
          <Button look="primary" type="submit" isDisabled={busy}>
            {source === undefined ? t("action.create") : title}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
