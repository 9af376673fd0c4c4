import { useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";
import { useNavigate } from "react-router";
import { copyObject, refreshLists, uploadObject } from "../../api/objects";
import { useTranslator } from "../../i18n";
import { FormDialog } from "../../ui/Dialog";
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
  const title = t(source === undefined ? "objects.newFolder" : source.move ? "objects.rename" : "objects.copy");
  async function submit() {
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
  }
  return (
    <FormDialog
      title={title}
      action={source === undefined ? t("action.create") : title}
      onClose={onClose}
      onSubmit={submit}
    >
      <div className="field">
        <label htmlFor={`${id}-key`}>{t(source === undefined ? "field.name" : "objects.key")}</label>
        <input id={`${id}-key`} required value={name} onChange={(event) => setName(event.target.value)} />
        {source === undefined && <span className="help">{prefix}</span>}
      </div>
    </FormDialog>
  );
}
